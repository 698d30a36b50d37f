"""The engine: admits sessions, owns the nursery that they run in, and knows them by their ids.

WebSockets and requests only attach to sessions here; none of them owns one, so none can take one down.
"""

from __future__ import annotations

import logging
import secrets

import trio

from trio_exec.engine.admission import Admission
from trio_exec.errors import DrainingError, EngineUnavailableError, SessionNotFoundError
from trio_exec.executor.base import Executor
from trio_exec.languages import Languages
from trio_exec.messages import Readiness, SessionRequest
from trio_exec.session.plan import make_plan
from trio_exec.session.session import Session
from trio_exec.settings import Settings

LOGGER = logging.getLogger("trio_exec.engine")

STOP_TIMEOUT = 20
"""Seconds that sessions get to clean up once they have been ended; more than a container's removal takes."""
_ID_BYTES = 18


class Engine:
    """The sessions of one server.

    Args:
        settings: the server's settings.
        languages: what can be run.
        executor: where containers come from.
    """

    def __init__(self, settings: Settings, languages: Languages, executor: Executor) -> None:
        self.settings = settings
        self.languages = languages
        self._executor = executor
        self._admission = Admission(settings.max_sessions, settings.max_queue)
        self._sessions: dict[str, Session] = {}
        self._live: set[Session] = set()
        self._all_over = trio.Event()
        self._leaving = False
        self._draining = False
        self._suspect = True
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hosts sessions until cancelled, which ends them all."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    async def create_session(self, request: SessionRequest) -> Session:
        """Starts a session.

        Raises:
            RequestError: the request asks for what there is not.
            QueueFullError: too many sessions wait.
            DrainingError: the server is going away.
            EngineUnavailableError: the Docker engine can't be reached.
        """
        if self._draining or self._nursery is None:
            raise DrainingError("this server is going away and takes no new sessions; try again in a few seconds")
        plan = make_plan(request, self.languages.find(request.language), self.settings.limits)
        if self._suspect:
            await self._executor.check()
            self._suspect = False
        session = Session(
            secrets.token_urlsafe(_ID_BYTES),
            plan,
            self._executor,
            self._admission.join(),
            queue_timeout=self.settings.queue_timeout,
            detach_grace=self.settings.detach_grace,
        )
        self._sessions[session.id] = session
        self._live.add(session)
        self._nursery.start_soon(self._host, session)
        return session

    async def _host(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._live.discard(session)
            if isinstance(session.engine_failure, EngineUnavailableError):
                self._suspect = True  # The next one asks the engine first, and gets a clear answer at once.
            if not self._live:
                self._all_over.set()
        await trio.sleep(self.settings.retention)
        del self._sessions[session.id]

    def session(self, session_id: str) -> Session:
        """The session with an id.

        Raises:
            SessionNotFoundError: there is none, or it is over for longer than the retention.
        """
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFoundError(
                f"there is no such session; it may have ended more than {self.settings.retention:g} seconds ago"
            ) from None

    async def readiness(self) -> Readiness:
        """Whether a session could start now, and if not, why."""
        reason = None
        if self._leaving:
            reason = "the server is going away"
        else:
            try:
                await self._executor.check()
            except EngineUnavailableError as error:
                reason = error.message
        return Readiness(
            ready=reason is None,
            running=self._admission.running,
            queued=self._admission.queued,
            warm=dict(self._executor.warm),
            reason=reason,
        )

    def leave(self) -> None:
        """Says from now on that the server is going away; what is asked of it is done as before."""
        self._leaving = True

    async def drain(self) -> None:
        """Takes no new sessions, and returns when all that were taken are over, those in the queue included."""
        self._draining = True
        while self._live:
            self._all_over = trio.Event()
            await self._all_over.wait()

    async def stop(self) -> None:
        """Ends all sessions and returns when they are over, or after `STOP_TIMEOUT`."""
        self._draining = True
        for session in self._live:
            session.end("shutdown")
        with trio.move_on_after(STOP_TIMEOUT) as scope:
            await self.drain()
        if scope.cancelled_caught:
            LOGGER.warning("%d sessions did not end in time", len(self._live))
