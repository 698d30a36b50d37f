"""Files to containers, and from them: what is kept of what a program leaves behind, as far as there is room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trio_exec.budget import Account
from trio_exec.errors import OverloadedError, ProtocolError
from trio_exec.executor.base import Container
from trio_exec.launcher import frames
from trio_exec.model import FileInfo, Omission, OmittedFile

MODE = 0o644
_REASONS = {
    frames.OmittedReason.TOO_LARGE: Omission.TOO_LARGE,
    frames.OmittedReason.TOO_MANY: Omission.TOO_MANY,
    frames.OmittedReason.NOT_REGULAR: Omission.NOT_REGULAR,
    frames.OmittedReason.UNREADABLE: Omission.UNREADABLE,
}
_FILE_SIZE = 256
"""Bytes that a file takes beside its content."""


class Collection:
    """Takes the launcher's answer to a request for files.

    Args:
        account: of what is kept for the session's clients. What does not fit is omitted.

    Attributes:
        modes: of the files, by their paths.
        omitted: what was asked for, and not kept.
        complete: whether the launcher has sent everything.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._contents: dict[str, bytearray] = {}
        self._refused: str | None = None
        self.modes: dict[str, int] = {}
        self.omitted: list[OmittedFile] = []
        self.complete = False

    @property
    def files(self) -> Mapping[str, bytes]:
        """Content by path."""
        return {name: bytes(content) for name, content in self._contents.items()}

    @property
    def listed(self) -> tuple[FileInfo, ...]:
        """Names and sizes."""
        return tuple(FileInfo(name, len(content)) for name, content in self._contents.items())

    def take(self, event: frames.Event) -> None:
        """Takes an event.

        Raises:
            ProtocolError: it belongs to no answer to a request for files.
        """
        match event:
            case frames.CollectedFile(path, mode, content, begins):
                self._take_content(path, mode, content, begins=begins)
            case frames.Omitted(path, reason):
                self.omitted.append(OmittedFile(path, _REASONS[reason]))
            case frames.Collected():
                self.complete = True
            case frames.Ack() | frames.Waiting():
                pass  # What a stage that is over had yet to say of its input.
            case _:
                raise ProtocolError("the container's launcher is out of step")

    def _take_content(self, path: str, mode: int, content: bytes, *, begins: bool) -> None:
        if not begins and path == self._refused:
            return
        try:
            self._account.take(len(content) + (len(path) + _FILE_SIZE if begins else 0))
        except OverloadedError:
            self._forget(path)
            self._refused = path
            self.omitted.append(OmittedFile(path, Omission.OVERLOADED))
            return
        self._contents.setdefault(path, bytearray()).extend(content)
        self.modes[path] = mode

    def _forget(self, path: str) -> None:
        content = self._contents.pop(path, None)
        if content is not None:
            self._account.give(len(content) + len(path) + _FILE_SIZE)

    def give_up(self, patterns: Sequence[str]) -> None:
        """Says that no more comes, though more was asked for. A file that came in part is none."""
        if self._contents:
            self._forget(list(self._contents)[-1])
        self.omitted += [OmittedFile(pattern, Omission.TIMEOUT) for pattern in patterns]


async def send_files(container: Container, files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> None:
    """Puts files into a container's workspace.

    Args:
        container: where to.
        files: content by path.
        modes: permissions by path, where they are not to be `MODE`.

    Raises:
        ExecutorError: the container is gone.
    """
    for path, content in files.items():
        for frame in frames.encode_file(path, content, (modes or {}).get(path, MODE)):
            await container.send(frame)


async def collect_files(container: Container, request: bytes, collection: Collection) -> None:
    """Asks for files, and takes them.

    Args:
        container: no stage runs in it.
        request: the frame that asks.
        collection: takes them.

    Raises:
        ExecutorError: the container is gone, or what it sent makes no sense.

    Cancellation: the rest comes all the same, and is in the way of whatever else the container is to be used for.
    """
    await container.send(request)
    while not collection.complete:
        for event in await container.receive():
            collection.take(event)
