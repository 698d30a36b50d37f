"""Local files as a program to run elsewhere, and what comes back of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trio_exec.client import ClientError, File, Language, Languages

FROM_STDIN = "-"


class UsageError(ClientError):
    """The command line asks for what can't be."""


@dataclass(frozen=True, slots=True)
class LocalProgram:
    """A program's files.

    Attributes:
        code: the main file's content where it has no name of its own.
        files: contents by path; the first is the main file where there is no `code`.
        takes_stdin: whether standard input is left for the program.
    """

    code: bytes | None
    files: dict[str, bytes]
    takes_stdin: bool


def language_of(name: str | None, file: str, languages: Languages) -> Language:
    """The language that was named, or that of the file's extension.

    Raises:
        UsageError: there is none; says which there are.
    """
    known = ", ".join(it.name for it in languages.languages)
    if name is not None:
        found = languages.find(name)
        if found is None:
            raise UsageError(f"unknown language {name!r}; available: {known}")
        return found
    extension = Path(file).suffix.removeprefix(".")
    for language in languages.languages:
        if extension and extension in language.extensions:
            return language
    raise UsageError(f"the language of {file!r} is not known; name it with --language: {known}")


def read_program(file: str, folder: Path | None) -> LocalProgram:
    """Reads a file, and those in a folder beside it.

    Raises:
        UsageError: something can't be read.
    """
    try:
        if file == FROM_STDIN:
            return LocalProgram(sys.stdin.buffer.read(), _read_folder(folder, None), takes_stdin=False)
        path = Path(file)
        main = path.read_bytes()
        others = _read_folder(folder, path)
        inside = folder is not None and path.resolve().is_relative_to(folder.resolve())
        name = path.resolve().relative_to(folder.resolve()).as_posix() if inside and folder is not None else path.name
        return LocalProgram(None, {name: main, **others}, takes_stdin=True)
    except OSError as error:
        raise UsageError(f"{error.filename or file}: {error.strerror}") from error


def _read_folder(folder: Path | None, main: Path | None) -> dict[str, bytes]:
    """Regular files below a folder, but hidden ones and the main one."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UsageError(f"--files: there is no folder {folder}")
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if not hidden and path.is_file() and (main is None or not path.samefile(main)):
            found["/".join(parts)] = path.read_bytes()
    return found


def write_files(files: Sequence[File], folder: Path) -> list[Path]:
    """Writes what a program has left; a server's word is not enough for a name to lead out of the folder.

    Raises:
        UsageError: a file can't be written.
    """
    written: list[Path] = []
    for file in files:
        name = PurePosixPath(file.name)
        if name.is_absolute() or ".." in name.parts:
            raise UsageError(f"the server names a file {file.name!r}, which is none below a folder")
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as opened:
                opened.write(file.data)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        written.append(path)
    return written
