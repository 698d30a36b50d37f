"""Input that may be sent again: what each client that goes by a name has written so far.

A connection that breaks leaves its client in doubt whether the last input has arrived. A client that says where in
its own input a piece belongs can simply send it again: what is here already is skipped, even if the first copy comes
last.
"""

from __future__ import annotations

from trio_exec.errors import RequestError
from trio_exec.session.stdin import Stdin

WRITERS_MAX = 64
"""Names that one session keeps the positions of."""


class Writers:
    """The positions of a session's clients in what each of them writes.

    Args:
        stdin: where it goes.
    """

    def __init__(self, stdin: Stdin) -> None:
        self._stdin = stdin
        self._taken: dict[str, int] = {}

    def taken(self, name: str) -> int:
        """Bytes of input that were taken from a client."""
        return self._taken.get(name, 0)

    def write(self, name: str, at: int, data: bytes) -> int:
        """Queues what of a client's input is new and has room.

        Args:
            name: the client's.
            at: how many bytes of its input come before `data`; when some of those are missing, nothing is taken.
            data: the input.

        Returns:
            Bytes of the client's input that were taken in all: from there on it is to go on.

        Raises:
            RequestError: too many names.
            SessionStateError: end of input was said already.
            OverloadedError: the server holds as much as it may.
        """
        taken = self.taken(name)
        if name not in self._taken and len(self._taken) >= WRITERS_MAX:
            raise RequestError(f"client: input of {WRITERS_MAX} clients at most can be told apart", field="client")
        new = data[taken - at :] if at <= taken else b""
        new = new[: self._stdin.room]
        if new or at + len(data) > taken:
            self._stdin.write(new)
        self._taken[name] = taken + len(new)
        return taken + len(new)
