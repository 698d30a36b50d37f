"""How many clients may be connected, in all and from one address, and who goes when there are too many.

A connection that waits for nothing but a client's next request, or for its first, gives way to a new one, the one
that has waited longest first. So whoever holds idle connections, however many, keeps nobody out. Counting only, no
I/O; connections say by callbacks how they are dropped.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from trio_exec.addresses import Networks, holder_of, parse_address

REFUSALS_MAX = 32
"""Connections that are kept at one time until they have read that there are too many."""
_RESERVE = 64
"""Descriptors for what is no client: the log, the page's files, Trio's own, requests to the engine."""
_PER_CONTAINER = 2


def raise_descriptor_limit() -> int:
    """Raises the process's limit of open files as far as it may, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections_that_fit(wanted: int, containers: int, descriptors: int) -> int:
    """How many connections there may be without taking descriptors away from sessions.

    Args:
        wanted: how many there may be where there are descriptors enough.
        containers: at most so many are there at once; each takes descriptors, too.
        descriptors: the process's limit of open files.
    """
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    reserve = min(_RESERVE + _PER_CONTAINER * containers, descriptors // 2)
    return min(wanted, descriptors - reserve)


class Crowding(StrEnum):
    """Of what there were too many when a connection was refused."""

    ALL = "all"
    ADDRESS = "address"


class Connection:
    """One client's connection, as it is counted.

    Args:
        address: the client's, as its socket says.
        drop: closes it at once; is called when it has to give way.
    """

    def __init__(self, address: str, drop: Callable[[], None]) -> None:
        self.address = parse_address(address)
        self.holder = holder_of(self.address)
        self.drop = drop


class Connections:
    """All of them.

    Args:
        limit: in all.
        per_address: from one address, or from one network in IPv6.
        trusted: networks of proxies, which may have as many as there are.

    Attributes:
        limit: the same.
        refusing: how many are being told that there are too many.
        refused: how many have been told so, and of what there were too many.
    """

    def __init__(self, limit: int, per_address: int, trusted: tuple[str, ...] = ()) -> None:
        self.limit = limit
        self._per_address = per_address
        self._trusted = Networks(trusted)
        self._open: set[Connection] = set()
        self._holders: Counter[str] = Counter()
        self._idle: dict[Connection, None] = {}  # By the time since when.
        self.refusing = 0
        self.refused = dict.fromkeys(Crowding, 0)

    def __len__(self) -> int:
        return len(self._open)

    def resize(self, limit: int, per_address: int) -> None:
        """Takes other limits; who is connected stays so."""
        self.limit = limit
        self._per_address = per_address

    def add(self, connection: Connection) -> str | None:
        """Lets a connection in, idle at first; drops another one for it if need be.

        Returns:
            why it can't be let in, or None.
        """
        holder = connection.holder
        if self._holders[holder] >= self._per_address and connection.address not in self._trusted:
            oldest = next((it for it in self._idle if it.holder == holder), None)
            if oldest is None:
                self.refused[Crowding.ADDRESS] += 1
                return f"too many connections from your address; {self._per_address} are allowed"
            self._drop(oldest)
        elif len(self._open) >= self.limit:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                self.refused[Crowding.ALL] += 1
                return f"too many connections; {self.limit} are allowed"
            self._drop(oldest)
        self._open.add(connection)
        self._holders[holder] += 1
        self._idle[connection] = None
        return None

    def busy(self, connection: Connection) -> None:
        """Says that a request of it is being answered."""
        self._idle.pop(connection, None)

    def idle(self, connection: Connection) -> None:
        """Says that it waits for its client, or is only being closed."""
        if connection in self._open and connection not in self._idle:
            self._idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """Says that it is closed; harmless when that is known."""
        if connection in self._open:
            self._open.remove(connection)
            self._idle.pop(connection, None)
            self._holders[connection.holder] -= 1
            if not self._holders[connection.holder]:
                del self._holders[connection.holder]

    def _drop(self, connection: Connection) -> None:
        self.remove(connection)
        connection.drop()
