"""What a session is to do, worked out before anything is started."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trio_exec.errors import RequestError
from trio_exec.languages import Language, Sizes
from trio_exec.launcher import frames
from trio_exec.launcher.layout import PATH, TEMPORARY, WORKSPACE
from trio_exec.launcher.prestart import Prestart
from trio_exec.limits import Limits, Resources
from trio_exec.model import Job, StageName

ENVIRONMENT = {
    "PATH": PATH,
    "HOME": WORKSPACE,
    "LANG": "C.UTF-8",
    "TERM": "dumb",  # Without any, what asks a terminal for nothing much, such as `clear`, complains.
}
TERMINAL_ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage's work.

    Attributes:
        name: which stage.
        command: the program and its arguments.
        environment: all of its variables.
        interactive: whether it has the session's input and terminal, and may be idle.
        wall_time: seconds that it may take.
        cpu_time: seconds of CPU that its processes may use together; None for no limit of its own.
        resources: what it may use meanwhile.
    """

    name: StageName
    command: Sequence[str]
    environment: Mapping[str, str]
    interactive: bool
    wall_time: float
    cpu_time: float | None
    resources: Resources


@dataclass(frozen=True, slots=True)
class Plan:
    """One session's work.

    Attributes:
        language: the language.
        files: content by path; the first is the main file.
        stages: in their order; each needs that the one before went well.
        stdin: input that is there from the start.
        ends_input: whether end of input follows it.
        terminal: rows and columns, or None for pipes.
        limits: what it may use.
        may_use_prestart: whether a command that was started before there were files may be used.
        collect: patterns of the files to keep of what the run stage leaves behind.
        merge: whether standard error goes where standard output does.
        gather: nobody waits for single pieces of output, so they may come a little later, several at once.
    """

    language: Language
    files: Mapping[str, bytes]
    stages: tuple[StagePlan, ...]
    stdin: bytes
    ends_input: bool
    terminal: tuple[int, int] | None
    limits: Limits
    may_use_prestart: bool
    collect: Sequence[str] = ()
    merge: bool = False
    gather: bool = False

    @property
    def files_size(self) -> int:
        """Bytes that the files' names and contents take."""
        return sum(len(name.encode()) + len(content) for name, content in self.files.items())

    def without_stdin(self) -> Plan:
        """The same without the initial input, once it is queued."""
        return dataclasses.replace(self, stdin=b"")

    def without_files(self) -> Plan:
        """The same without the files, once they are where they belong."""
        return dataclasses.replace(self, files={})

    def without_content(self) -> Plan:
        """What is worth knowing of a session that is over."""
        return dataclasses.replace(self, files={}, stages=(), stdin=b"")


def prestarts(language: Language, limits: Limits) -> list[Prestart]:
    """What of a language can be started before its program is there, within these limits."""
    made: list[Prestart] = []
    for warm in language.warm:
        stage = language.stages.get(warm.stage)
        if stage is not None and warm.pids <= limits.pids:
            sizes = _sizes(limits, warm.stage)
            made.append(
                Prestart(
                    file=warm.file or language.source_file,
                    command=stage.expand([language.source_file], sizes),
                    environment=environment(language, sizes, terminal=False),
                    terminal_environment=environment(language, sizes, terminal=True),
                    runs_on_terminal=warm.stage is StageName.RUN,
                    named=warm.named,
                )
            )
    return made


def resources(language: Language, limits: Limits) -> list[Resources]:
    """What each stage of a language may use, in their order."""
    return [limits.resources(name) for name in language.stages]


def environment(language: Language, sizes: Sizes, *, terminal: bool) -> dict[str, str]:
    """The variables of a language's programs, before a request adds its own."""
    own = {name: sizes.fill_in(value) for name, value in language.env.items()}
    return {**ENVIRONMENT, **(TERMINAL_ENVIRONMENT if terminal else {}), **own}


def _sizes(limits: Limits, stage: StageName) -> Sizes:
    return Sizes(limits.memory_bytes, limits.processors(stage))


def _can_use_prestart(language: Language, files: Mapping[str, bytes], *, as_sized: bool) -> bool:
    """Whether starting ahead makes no difference.

    Args:
        language: the session's.
        files: its files. What waits for the main one may look at others early; the first lines may matter as well. What
            waits for its name has looked at no more than what runtimes look for as they start: hidden files.
        as_sized: whether the session may use as much memory as what was started ahead saw.
    """
    if list(files) != [language.source_file] and any(warm.file is None for warm in language.warm):
        return False
    if any(name.startswith(".") for name in files) and any(warm.named for warm in language.warm):
        return False
    text = next(iter(files.values())).decode(errors="replace")
    return not any(
        (warm.sized and not as_sized) or (warm.unless and re.search(warm.unless, text)) for warm in language.warm
    )


def make_plan(job: Job, language: Language, limits: Limits, warmed: Limits | None = None) -> Plan:
    """Works out what to do.

    Args:
        job: what the client asks for.
        language: the language that it names.
        limits: what the client may use at most; the job may lower it.
        warmed: what commands that are started ahead may use, where that is something else.

    Raises:
        RequestError: a limit is above what the client may use, a file's name is needed for something else, the files
            don't fit the workspace, or the command does not fit a frame.
    """
    seen = (warmed or limits).memory_bytes
    limits = _lower(limits, job.limits)
    files = dict(job.files)
    if job.code is not None:
        if language.source_file in files:
            raise RequestError(
                f"files: {language.source_file!r} is the main file, whose text is `code` already",
                field="files",
            )
        files = {language.source_file: job.code, **files}
    _check_names(list(files), language)
    sources = language.sources(files)
    can_use_prestart = _can_use_prestart(language, files, as_sized=limits.memory_bytes == seen)
    for stage in language.stages.values():
        files |= stage.list_sources(sources)
    size = sum(-(-len(content) // _BLOCK) * _BLOCK for content in files.values())
    if size > limits.workspace_bytes:
        raise RequestError(
            f"files: together they take {size} bytes; the workspace has {limits.workspace_bytes}",
            field="files",
        )
    merge = job.merge and job.terminal is None
    plan = Plan(
        language=language,
        files=files,
        stages=tuple(_plan_stage(name, job, language, sources, limits) for name in language.stages),
        stdin=job.stdin,
        ends_input=job.ends_input,
        terminal=job.terminal,
        limits=limits,
        # What is started ahead has its streams already. A terminal is one stream anyway.
        may_use_prestart=not merge and can_use_prestart,
        collect=job.collect,
        merge=merge,
    )
    _check_lengths(plan)
    return plan


def _plan_stage(name: StageName, job: Job, language: Language, sources: Sequence[str], limits: Limits) -> StagePlan:
    sizes = _sizes(limits, name)
    command = language.stages[name].expand(sources, sizes)
    variables = environment(language, sizes, terminal=job.terminal is not None)
    runs = name is StageName.RUN
    return StagePlan(
        name=name,
        # Compilers can be told by arguments and variables to run programs: the request's are not for them.
        command=[*command, *job.args] if runs else command,
        environment={**variables, **job.env} if runs else variables,
        interactive=runs,
        wall_time=limits.wall_time(name),
        cpu_time=limits.cpu_time if runs else None,
        resources=limits.resources(name),
    )


def _check_names(names: Sequence[str], language: Language) -> None:
    if not language.can_be_main(names[0]):
        raise RequestError(
            f"files: {names[0]!r} is the first and so the main file, and {language.title} takes a file of that name "
            f"for something else than a program; call it {language.source_file!r}, or name the main file first",
            field="files",
        )
    taken = {TEMPORARY, *(name for stage in language.stages.values() for name in stage.makes)}
    for name in names:
        first = name.split("/")[0]
        if first in taken:
            raise RequestError(
                f"files: {name!r} can't be used, since {first!r} is where "
                f"{'temporary files' if first == TEMPORARY else 'what the program is made into'} will be; "
                "choose another name",
                field="files",
            )


def _check_lengths(plan: Plan) -> None:
    for stage in plan.stages:
        size = frames.stage_size(stage.command, stage.environment)
        if size > frames.PAYLOAD_MAX:
            raise RequestError(
                f"files: with the names of {len(plan.files)} files, `args` and `env`, a command takes {size} bytes, of "
                f"{frames.PAYLOAD_MAX} at most; use shorter or fewer names",
                field="files",
            )


def _lower(limits: Limits, wanted: Mapping[str, float]) -> Limits:
    for name, value in wanted.items():
        most: float | None = getattr(limits, name)
        if most is not None and value > most:
            field = f"limits.{name}"
            raise RequestError(f"{field}: {value} is above the limit of {most}", field=field)
    return dataclasses.replace(limits, **wanted)
