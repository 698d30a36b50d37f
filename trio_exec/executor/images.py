"""The languages' images: what they are called, and what they are made of; who makes them is another matter.

An image's tag is a hash of all that goes into it, the launcher's tag included. So nothing is built without need,
two versions of trio-exec can share an engine or a registry, and a changed file is never overlooked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trio_exec.errors import ExecutorError
from trio_exec.executor import policy
from trio_exec.languages import RUNTIMES, Language

_TAG_LENGTH = 16
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LAUNCHER_ARGUMENT = "LAUNCHER_IMAGE"
_REGISTRY_ARGUMENT = "REGISTRY"


@dataclass(frozen=True, slots=True)
class Image:
    """An image to be.

    Attributes:
        tag: its name and version.
        directory: what it is built from.
        arguments: of the build.
        version_command: prints its version.
        made: files that are not in the directory but made for it, by name.
    """

    tag: str
    directory: Path
    arguments: tuple[tuple[str, str], ...] = ()
    version_command: tuple[str, ...] = ()
    made: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        directory: Path,
        arguments: Mapping[str, str],
        version_command: Sequence[str] = (),
        made: Mapping[str, str] | None = None,
    ) -> Image:
        """The image for a directory, tagged by the hash of its content, of all files, the arguments and the command."""
        digest = hashlib.sha256(repr((sorted(arguments.items()), list(version_command))).encode())
        files = [(str(path.relative_to(directory)), path.read_bytes()) for path in context_of(directory)]
        added = tuple((made or {}).items())
        for file, content in [*files, *((file, text.encode()) for file, text in added)]:
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
        tag = f"trio-exec/{name}:{digest.hexdigest()[:_TAG_LENGTH]}"
        return cls(tag, directory, tuple(arguments.items()), tuple(version_command), added)


def context_of(directory: Path) -> list[Path]:
    """The files that go into an image; installers add bytecode, which differs from one Python to the next."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and path.name != "language.toml" and path.parent.name != "__pycache__"
    )


def launcher_image(registry: str = "") -> Image:
    """The image that holds nothing but the launcher; the others copy it from there.

    Args:
        registry: what comes before the names of base images.
    """
    return Image.of("launcher", RUNTIMES / "launcher", _from(registry), made={policy.HEADER: policy.header()})


def language_images(languages: Iterable[Language], registry: str = "") -> dict[str, Image]:
    """The images by name of the language; `registry` as above."""
    arguments = {_LAUNCHER_ARGUMENT: launcher_image(registry).tag, **_from(registry)}
    return {
        language.name: Image.of(_image_name(language.name), language.directory, arguments, language.version_command)
        for language in languages
    }


def _from(registry: str) -> dict[str, str]:
    """Other base images make other images, with other tags; the usual ones have none of this in theirs."""
    return {_REGISTRY_ARGUMENT: registry} if registry else {}


def _image_name(language: str) -> str:
    """A language's name, without the characters that image names can't have (c++, c#)."""
    return language.replace("+", "p").replace("#", "sharp")


def version_in(tag: str, printed: str) -> str:
    """The first version in what an image's version_command prints, as x.y.z.

    Raises:
        ExecutorError: there is none.
    """
    if not (found := _VERSION.search(printed)):
        raise ExecutorError(f"building {tag} failed: its version_command prints no version")
    return ".".join([*found[0].split("."), "0", "0"][:3])
