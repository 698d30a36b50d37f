"""Languages as data: each is a directory with a `language.toml` and a `Dockerfile`, and no Python.

Those that come with trio-exec are in `trio_exec/runtimes`; the setting `languages_dir` adds more, or replaces one
by its name. docs/languages.md says how to write one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from trio_exec.errors import ConfigurationError, UnknownLanguageError
from trio_exec.model import StageName
from trio_exec.variables import none_of

RUNTIMES = Path(__file__).parent / "runtimes"
"""The runtimes that come with the package, and the launcher's source."""

_DESCRIPTION = "language.toml"
_Extension = Annotated[str, Field(pattern=r"^[^./]+$")]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+#._-]{0,31}$")]


def _compile(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


_Pattern = Annotated[str, AfterValidator(_compile)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What commands and variables are told of a session's limits.

    Attributes:
        memory_bytes: that of the run stage.
        processors: how many to reckon with in the stage in question.
    """

    memory_bytes: int
    processors: int

    def fill_in(self, text: str) -> str:
        """The text with numbers for `{memory}` and `{processors}`."""
        return text.replace("{memory}", str(self.memory_bytes)).replace("{processors}", str(self.processors))


class Stage(_Model):
    """A command; `{source}` stands for the main file, `{sources}` for all source files; see `Language.sources`.

    `{memory}` stands for the bytes of memory that the run stage has, `{processors}` for how many processors the
    command should reckon with.

    Attributes:
        command: the program and its arguments.
        makes: names in the workspace that the command writes to, which no submitted file can have.
        sources_file: a file in the workspace that lists the source files, one a line, for commands that are not to
            differ from program to program.
    """

    command: Annotated[list[str], Field(min_length=1)]
    makes: list[Annotated[str, Field(pattern=r"^[^/]+$")]] = []
    sources_file: Annotated[str, Field(pattern=r"^[^/]")] | None = None

    def expand(self, sources: Sequence[str], sizes: Sizes) -> list[str]:
        """The command for these source files, of which the first is the main one."""
        arguments: list[str] = []
        for part in self.command:
            if part == "{sources}":
                arguments += map(_as_path, sources)
            else:
                arguments.append(sizes.fill_in(part.replace("{source}", _as_path(sources[0]))))
        return arguments

    def list_sources(self, sources: Sequence[str]) -> dict[str, bytes]:
        """What to put into the workspace beside these source files: their list, if the command wants one."""
        if self.sources_file is None:
            return {}
        return {self.sources_file: "".join(f"{_as_path(name)}\n" for name in sources).encode()}


class Format(Stage):
    """A command that formats source files in their places; where it can't, it says why as FILE:LINE:COLUMN: MESSAGE.

    Attributes:
        timeout: seconds that it may take.
        memory_bytes: that it may use; None for as much as a compiler may. More than that it may not in any case.
    """

    timeout: Annotated[float, Field(gt=0, le=300, strict=False)] = 10
    memory_bytes: Annotated[int, Field(ge=1)] | None = None


def _extensions(name: str) -> set[str]:
    """A file's extension, as it is and in lower case: some file systems make capitals of names."""
    extension = Path(name).suffix.removeprefix(".")
    return {extension, extension.lower()}


def _as_path(name: str) -> str:
    """A file's name such that no command takes it for anything else.

    A leading "./" keeps it from being an option (`-x.c`), a list of options (`@x.c`) or a subcommand (`inspect`). Other
    names are left as they are: messages show them.
    """
    plain = (name[0].isalnum() or name[0] in "_.") and ("." in name or "/" in name)
    return name if plain else f"./{name}"


class Warm(_Model):
    """A start that can be made before the program is there; docs/languages.md explains it.

    Attributes:
        stage: the stage whose command can be started with a FIFO in the place of a file that it reads.
        file: that file, if it is not the main one: one that the compile stage makes, or that lists its sources.
        named: whether what the file holds is the main file's name, which is the command's last argument.
        pids: processes and threads that everything warm together takes; where the limit is lower, it is left out.
        sized: whether it looks at the memory limit as it starts; where a session lowers that, it is started afresh.
        unless: a pattern; a main file in which it is found, anywhere, is started afresh.
    """

    stage: Annotated[StageName, Strict(strict=False)]
    file: Annotated[str, Field(pattern=r"^[^/]")] | None = None
    named: bool = False
    pids: Annotated[int, Field(gt=0)] = 1
    sized: bool = False
    unless: _Pattern | None = None

    @model_validator(mode="after")
    def _has_a_place(self) -> Warm:
        if self.named and self.file is None:
            raise ValueError("file: say where what is named finds its name")
        return self


class Errors(_Model):
    """How what is written about a fault names places in the program; for pages and editors, see docs/languages.md.

    Attributes:
        places: patterns with the groups `file` and `line`, and maybe `column`, `severity` and `message`.
        messages: patterns of a line that says what went wrong, with the group `message`.
        innermost: where, seen from that line, a trace has the call that failed.
    """

    places: list[_Pattern] = []
    messages: list[_Pattern] = []
    innermost: Literal["above", "below"] = "below"

    @model_validator(mode="after")
    def _have_their_groups(self) -> Errors:
        for patterns, groups in ((self.places, {"file", "line"}), (self.messages, {"message"})):
            for pattern in patterns:
                if missing := groups - re.compile(pattern).groupindex.keys():
                    raise ValueError(f"{pattern}: it has no group {', '.join(sorted(missing))}")
        return self


class Example(_Model):
    """A program to begin with, for the page.

    Attributes:
        note: a few words about it; those that have some are offered to newcomers.
        tty: whether it needs a terminal.
    """

    name: str
    title: str
    code: str
    note: str | None = None
    tty: bool = False


class Language(_Model):
    """One language, as its `language.toml` describes it.

    Attributes:
        name: how requests call it; `aliases` do as well.
        title: how people call it.
        version: of the language, as x, x.y or x.y.z; what its image really has may be known better.
        version_command: prints that, in the image.
        source_file: the main file's name when a request gives only `code`.
        extensions: of files that are taken for the language's, without the dot; that of `source_file` is one anyway.
        companions: extensions of another language's files that are compiled with this one's.
        unusable: extensions that make the run stage take a main file for something else than a program.
        compile: the compile stage, for languages that have one.
        run: the run stage; the request's `args` follow the command.
        format: what formats its programs, for languages that have such a tool.
        warm: which starts can be made ahead, in the order of the stages.
        pool: how many warm containers to keep, where the setting `pool` does not say.
        env: environment variables for both stages; `{memory}` and `{processors}` in their values as in `Stage`.
        errors: how its tools name places in the program.
        examples: for the page; the first is shown to newcomers.
        directory: where it was read from; its content is the image's build context.
    """

    name: _Name
    title: str
    aliases: list[_Name] = []
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")]
    version_command: list[str] = []
    source_file: str
    extensions: list[_Extension] = []
    companions: list[_Extension] = []
    unusable: list[_Extension] = []
    compile: Stage | None = None
    run: Stage
    format: Format | None = None
    warm: list[Warm] = []
    pool: Annotated[int, Field(ge=0, le=100)] = 0
    env: dict[str, str] = {}
    errors: Errors = Errors()
    examples: list[Example] = []
    directory: Path

    @property
    def all_extensions(self) -> list[str]:
        """Extensions of files that are taken for the language's, each once."""
        _, dot, extension = self.source_file.rpartition(".")
        return list(dict.fromkeys([extension, *self.extensions] if dot else self.extensions))

    def sources(self, files: Iterable[str]) -> list[str]:
        """Which of these files are the program's source files: the first, whatever its name, and those by extension.

        The language's own come before their companions.
        """
        main, *others = files
        own, companions = (
            [name for name in others if not _extensions(name).isdisjoint(extensions)]
            for extensions in (self.all_extensions, self.companions)
        )
        return [main, *own, *(name for name in companions if name not in own)]

    def can_be_main(self, name: str) -> bool:
        """Whether a file of this name is taken for a program."""
        return _extensions(name).isdisjoint(self.unusable)

    @property
    def stages(self) -> dict[StageName, Stage]:
        """The stages that it has, in their order."""
        stages = {StageName.COMPILE: self.compile, StageName.RUN: self.run}
        return {name: stage for name, stage in stages.items() if stage is not None}


def _load(directory: Path) -> Language:
    path = directory / _DESCRIPTION
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return Language.model_validate({**data, "directory": directory})
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()]
        raise ConfigurationError("\n".join(lines)) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


class Languages(Mapping[str, Language]):
    """The languages by name; `find` knows their aliases too."""

    def __init__(self, languages: Sequence[Language]) -> None:
        self._by_name = {language.name: language for language in languages}
        self._by_alias: dict[str, Language] = {}
        for language in self._by_name.values():
            for alias in [language.name, *language.aliases]:
                other = self._by_alias.setdefault(alias, language)
                if other is not language:
                    raise ConfigurationError(f"{language.name} and {other.name} are both called {alias!r}")

    @classmethod
    def load(cls, extra: Path | None = None, only: Sequence[str] = ()) -> Languages:
        """Reads the built-in languages, then those in `extra`.

        Args:
            extra: directory with further languages.
            only: names of those to keep; all, if there are none.

        Raises:
            ConfigurationError: a description can't be used; says which and why.
        """
        if extra is not None and not extra.is_dir():
            raise ConfigurationError(f"languages_dir: there is no directory {extra}")
        languages: dict[str, Language] = {}
        for root in [RUNTIMES, extra]:
            if root is not None:
                paths = sorted(root.glob(f"*/{_DESCRIPTION}"))
                if not paths:
                    raise ConfigurationError(
                        f"languages_dir: no folder in {root} has a {_DESCRIPTION}"
                        + (f"; name the folder above it: {root.parent}" if (root / _DESCRIPTION).exists() else "")
                    )
                for path in paths:
                    language = _load(path.parent)
                    languages[language.name] = language
        unknown = sorted(set(only) - set(languages))
        if unknown:
            raise ConfigurationError(f"languages: {none_of(unknown, languages)}")
        return cls([language for name, language in languages.items() if not only or name in only])

    def find(self, name: str) -> Language:
        """The language that is called so.

        Raises:
            UnknownLanguageError: there is none; the message lists those that there are.
        """
        try:
            return self._by_alias[name.lower()]
        except KeyError:
            known = ", ".join(self._by_name)
            raise UnknownLanguageError(
                f"language: unknown language {name[:40]!r}; available: {known}", field="language"
            ) from None

    def __getitem__(self, name: str) -> Language:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)
