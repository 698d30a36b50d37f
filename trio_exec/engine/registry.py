"""The sessions that the server knows, by the ids that it gave out, and what each id lets its holder do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trio_exec.errors import SessionNotFoundError, ViewOnlyError
from trio_exec.ids import replica_of
from trio_exec.session.session import Session

_NAME_SHOWN = 40


@dataclass(frozen=True, slots=True)
class View:
    """What somebody gets by an id.

    Attributes:
        session: of which it is one.
        may_drive: whether they may do more than look: type, signal, stop.
    """

    session: Session
    may_drive: bool


class Registry:
    """Those of one server; each has two ids.

    Args:
        replica: the server's name among several.
        why_gone: says in a part of a sentence what may have become of a session that is not there.
    """

    def __init__(self, replica: str, why_gone: Callable[[], str]) -> None:
        self._replica = replica
        self._why_gone = why_gone
        self._views: dict[str, View] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._views

    def add(self, session: Session) -> None:
        """Has it found by its ids."""
        self._views[session.id] = View(session, may_drive=True)
        self._views[session.watch_id] = View(session, may_drive=False)

    def forget(self, session: Session) -> None:
        """Has it found no more; once is enough."""
        self._views.pop(session.id, None)
        self._views.pop(session.watch_id, None)

    def view(self, any_id: str) -> View:
        """What an id gives.

        Raises:
            SessionNotFoundError: there is no such session, or it is over for longer than the retention.
        """
        try:
            return self._views[any_id]
        except KeyError:
            if (replica := replica_of(any_id)) != self._replica:
                raise SessionNotFoundError(
                    f"there is no such session here: its id is of the server {replica[:_NAME_SHOWN]!r}, and this is "
                    f"{self._replica!r}; it may be gone, or a proxy does not send requests where their ids say"
                ) from None
            raise SessionNotFoundError(f"there is no such session; {self._why_gone()}") from None

    def session(self, session_id: str) -> Session:
        """The session with an id, for whoever is to drive it.

        Raises:
            SessionNotFoundError: as for `view`.
            ViewOnlyError: the id is one to watch it by.
        """
        view = self.view(session_id)
        if not view.may_drive:
            raise ViewOnlyError(VIEW_ONLY)
        return view.session


VIEW_ONLY = "this is a link to watch a session by, and nothing else; whoever started it can type and stop"
