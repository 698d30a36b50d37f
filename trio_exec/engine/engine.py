"""The engine: admits sessions, owns the nursery that they run in, and knows them by their ids.

WebSockets and requests only attach to sessions here; none of them owns one, so none can take one down.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Generator
from contextlib import ExitStack, contextmanager

import trio

from trio_exec.budget import Account, Budget
from trio_exec.engine.admission import Admission, Ticket
from trio_exec.engine.batch import BatchRun
from trio_exec.engine.batch_plan import plan_batch
from trio_exec.engine.quota import OwnersBudgets, StartRates
from trio_exec.engine.registry import Registry, View
from trio_exec.errors import (
    DrainingError,
    ExecutorUnavailableError,
    ForbiddenError,
    LanguageUnavailableError,
    RequestError,
    TrioExecError,
)
from trio_exec.events import Emit, SessionCreated, SessionFacts, SessionRefused, ignore
from trio_exec.executor.base import Executor
from trio_exec.ids import new_id
from trio_exec.languages import Language, Languages
from trio_exec.limits import Limits, lowered
from trio_exec.model import Batch, Job, Kind, Owner, Readiness, Reason, Requester
from trio_exec.phases import Phase, Phases
from trio_exec.session.formatting import plan_format
from trio_exec.session.plan import Plan, make_plan
from trio_exec.session.session import SESSION_SIZE, Session
from trio_exec.settings import EngineSettings

LOGGER = logging.getLogger("trio_exec.engine")

STOP_TIMEOUT = 20
"""Seconds that sessions get to clean up once they have been ended; more than a container's removal takes."""
FORMAT_PATIENCE = 10
"""Seconds that formatting waits for a slot: somebody waits for it who could run the program as well."""
_NAME_SHOWN = 40


class Engine:
    """The sessions of one server.

    Args:
        settings: of sessions: how many there are, for how long, and what each may use.
        languages: what can be run.
        executor: where containers come from.
        budget: of what sessions hold; those that are over make room in it, the oldest first.
        phases: how far the server is on its way to its end.
        emit: reports sessions and their clients.
        replica: the server's name among several, with which its ids begin.
    """

    def __init__(
        self,
        settings: EngineSettings,
        languages: Languages,
        executor: Executor,
        budget: Budget,
        phases: Phases,
        *,
        emit: Emit = ignore,
        replica: str = "",
    ) -> None:
        self._replica = replica
        self.settings = settings
        self.languages = languages
        self._executor = executor
        self._phases = phases
        self._emit = emit
        self._admission = Admission(settings.max_sessions, settings.max_queue, lambda: executor.lingering)
        self._compiles = trio.CapacityLimiter(settings.max_compiles)
        self._budgets = OwnersBudgets(budget, self._reclaim)
        budget.reclaim = self._reclaim
        self._rates = StartRates()
        self._registry = Registry(replica, self._why_gone)
        self._live: set[Session | BatchRun] = set()
        self._over: dict[Session, trio.CancelScope] = {}
        self._clients = 0
        self._fewer = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hosts sessions until cancelled, which ends them all."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._follow_lingering)
            task_status.started()
            await trio.sleep_forever()

    async def _follow_lingering(self) -> None:
        while True:
            known = self._executor.lingering
            self._admission.review()
            await self._executor.wait_lingering(known)

    def create_session(
        self, job: Job, requester: Requester, kind: Kind = Kind.SESSION, *, detach_grace: float | None = None
    ) -> Session:
        """Starts a session.

        Args:
            job: what to do.
            requester: who asks for it.
            kind: what it is to them.
            detach_grace: seconds that it goes on without any client; None for what the settings say.

        Raises:
            RequestError: the job asks for what there is not.
            ForbiddenError: the requester may not use the language.
            QuotaExceededError: the owner has as much already as they may.
            QueueFullError: too many sessions wait.
            OverloadedError: the server holds as much for its clients as it may.
            DrainingError: the server is going away.
            ExecutorUnavailableError: no container can be made now.
            LanguageUnavailableError: none of this language.
        """
        with self._refusals_told(job.language, requester, kind):
            grace = self.settings.detach_grace if detach_grace is None else detach_grace
            session = self._take(job, requester, kind, grace)
        self._emit(SessionCreated(session.facts))
        return session

    def create_format(self, job: Job, requester: Requester) -> Session:
        """Starts a session that formats a program.

        Args:
            job: the program.
            requester: who asks for it.

        Raises:
            RequestError: there is no formatter for it, or its files can't be used.
            TrioExecError: as for `create_session`.
        """
        with self._refusals_told(job.language, requester, Kind.FORMAT):
            nursery = self._check_serving()
            language = self._language(job.language, requester)
            plan = plan_format(job, language, self.limits_of(requester))
            patience = min(FORMAT_PATIENCE, self.settings.queue_timeout)
            session = self._start(
                nursery, plan, requester, Kind.FORMAT, detach_grace=FORMAT_PATIENCE, queue_timeout=patience
            )
        self._emit(SessionCreated(session.facts))
        return session

    def create_batch(self, batch: Batch, requester: Requester) -> BatchRun:
        """Starts a batch.

        Args:
            batch: what to do.
            requester: who asks for it.

        Raises:
            RequestError: the batch, or one of its cases, asks for what there is not.
            TrioExecError: as for `create_session`.
        """
        with self._refusals_told(batch.job.language, requester, Kind.BATCH):
            run = self._take_batch(batch, requester)
        self._emit(SessionCreated(run.facts))
        return run

    @contextmanager
    def _refusals_told(self, language: str, requester: Requester, kind: Kind) -> Generator[None]:
        try:
            yield
        except TrioExecError as error:
            self._emit(SessionRefused(requester, kind, language[:_NAME_SHOWN], error.code))
            raise

    def _check_serving(self) -> trio.Nursery:
        if self._phases.reached(Phase.DRAINING) or self._nursery is None:
            raise DrainingError("this server is going away and takes no new sessions; try again in a few seconds")
        return self._nursery

    def _check_ready(self, language: Language) -> None:
        if self._executor.not_ready_reason is not None:
            raise ExecutorUnavailableError(self._executor.not_ready_reason)
        if (why := self._executor.missing.get(language.name)) is not None:
            raise LanguageUnavailableError(f"{language.name} can't be run now: {why}", field="language")

    def check_quota(self, requester: Requester, kind: Kind) -> None:
        """Returns if this requester could start a session now; for requests whose bodies are not worth reading if not.

        Args:
            requester: who asks.
            kind: what for.

        Raises:
            DrainingError: the server is going away.
            QuotaExceededError: the owner has what they may have.
            QueueFullError: too many sessions wait.
            ExecutorUnavailableError: no container can be made now, and the requester asks only for what is there.
        """
        with self._refusals_told("", requester, kind):
            self._check_serving()
            self._rates.check(requester.owner, requester.quota.starts_per_minute)
            self._admission.check(requester.owner, requester.quota, may_wait=requester.may_wait)
            if not requester.may_wait and self._executor.not_ready_reason is not None:
                raise ExecutorUnavailableError(self._executor.not_ready_reason)

    def _language(self, name: str, requester: Requester) -> Language:
        language = self.languages.find(name)
        if requester.languages is not None and language.name not in requester.languages:
            allowed = ", ".join(sorted(requester.languages))
            raise ForbiddenError(
                f"language: you may not use {language.name!r}; what you may use: {allowed}", field="language"
            )
        return language

    def _join(self, requester: Requester, size: int) -> tuple[Account, Ticket]:
        """Room for so many bytes, and a place."""
        owner, quota = requester.owner, requester.quota
        self._rates.check(owner, quota.starts_per_minute)
        account = self._budgets.account(requester)
        with ExitStack() as undo:
            undo.callback(account.close)
            account.take(size)
            slot = self._admission.join(owner, quota, may_wait=requester.may_wait)
            undo.pop_all()
        self._rates.take(owner, quota.starts_per_minute)
        return account, slot

    def _take_batch(self, batch: Batch, requester: Requester) -> BatchRun:
        nursery = self._check_serving()
        language = self._language(batch.job.language, requester)
        if len(batch.cases) > (most := self.settings.max_batch_runs):
            raise RequestError(f"runs: {len(batch.cases)} are too many; this server takes {most} at most", field="runs")
        plan = plan_batch(batch, language, self.limits_of(requester), self.settings.limits)
        self._check_ready(language)
        account, slot = self._join(requester, SESSION_SIZE + plan.size)
        run = BatchRun(
            SessionFacts(new_id(self._replica), requester, language.name, terminal=False, kind=Kind.BATCH),
            plan,
            self._executor,
            slot,
            free_slot=lambda: self._admission.join_if_free(requester.owner, requester.quota),
            compiles=self._compiles,
            new_account=lambda: self._budgets.account(requester),
            account=account,
            emit=self._emit,
            queue_timeout=self.settings.queue_timeout,
            timeout=self.settings.batch_timeout,
            patience=self.settings.detach_grace,
        )
        self._live.add(run)
        nursery.start_soon(self._host_batch, run)
        return run

    async def _host_batch(self, run: BatchRun) -> None:
        try:
            await run.run()
        finally:
            self._live.discard(run)
            self._woken()

    def _take(self, job: Job, requester: Requester, kind: Kind, detach_grace: float) -> Session:
        nursery = self._check_serving()
        language = self._language(job.language, requester)
        plan = make_plan(job, language, self.limits_of(requester), self.settings.limits)
        queue_timeout = self.settings.queue_timeout
        return self._start(nursery, plan, requester, kind, detach_grace=detach_grace, queue_timeout=queue_timeout)

    def _start(
        self,
        nursery: trio.Nursery,
        plan: Plan,
        requester: Requester,
        kind: Kind,
        *,
        detach_grace: float,
        queue_timeout: float,
    ) -> Session:
        self._check_ready(plan.language)
        account, slot = self._join(requester, SESSION_SIZE + plan.files_size + len(plan.stdin))
        session = Session(
            SessionFacts(new_id(self._replica), requester, plan.language.name, plan.terminal is not None, kind),
            plan,
            self._executor,
            slot,
            compiles=self._compiles,
            account=account,
            emit=self._emit,
            queue_timeout=queue_timeout,
            detach_grace=detach_grace,
            leave_grace=self.settings.leave_grace,
            watch_id=new_id(self._replica),
            max_watchers=self.settings.max_watchers,
        )
        self._registry.add(session)
        self._live.add(session)
        nursery.start_soon(self._host, session)
        return session

    async def _host(self, session: Session) -> None:
        try:
            try:
                await session.run()
            finally:
                self._live.discard(session)
                self._woken()
            with trio.move_on_after(self.settings.retention) as retained:
                self._over[session] = retained
                await trio.sleep_forever()
        finally:
            self._over.pop(session, None)
            self._registry.forget(session)
            session.account.close()

    def _reclaim(self, missing: int, owner: Owner | None = None) -> None:
        """Forgets sessions that are over and that nobody watches, the oldest first, until so many bytes are free.

        Args:
            missing: so many bytes.
            owner: whose sessions; None for all.
        """
        for session in list(self._over):
            if missing <= 0:
                return
            if session.followed or owner not in {None, session.facts.requester.owner}:
                continue
            missing -= session.account.held
            session.account.close()
            self._over.pop(session).cancel(reason="its memory is needed")
            self._registry.forget(session)

    def _why_gone(self) -> str:
        return (
            f"it may have ended more than {self.settings.retention:g} seconds ago, or less when the server needed its "
            "memory"
        )

    def view(self, any_id: str) -> View:
        """What one of a session's ids gives: the session, and whether one may do more than look.

        Raises:
            SessionNotFoundError: there is none, or it is over for longer than the retention.
        """
        return self._registry.view(any_id)

    def session(self, session_id: str) -> Session:
        """The session with an id, for whoever is to drive it.

        Raises:
            SessionNotFoundError: as for `view`.
            ViewOnlyError: the id is one to watch it by.
        """
        return self._registry.session(session_id)

    @contextmanager
    def client(self) -> Generator[None]:
        """For as long as a client reads from a session, which may be over."""
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1
            self._woken()

    def limits_of(self, requester: Requester) -> Limits:
        """What a requester's sessions may use."""
        return lowered(self.settings.limits, requester.limits)

    def languages_of(self, requester: Requester) -> list[Language]:
        """The languages that a requester may use."""
        allowed = requester.languages
        return [it for it in self.languages.values() if allowed is None or it.name in allowed]

    def end_sessions(self, owners: Container[Owner], reason: Reason) -> None:
        """Ends all sessions of some owners."""
        for session in self._live:
            if session.facts.requester.owner in owners:
                session.end(reason)

    def version(self, language: Language) -> str:
        """A language's version: what its containers have, as x.y.z, or what its description says."""
        return self._executor.versions.get(language.name, language.version)

    async def readiness(self) -> Readiness:
        """Whether a session could start now, and if not, why."""
        await self._executor.check()
        leaving = self._phases.reached(Phase.LEAVING)
        reason = "the server is going away" if leaving else self._executor.not_ready_reason
        return Readiness(
            running=self._admission.running,
            queued=self._admission.queued,
            free=self._admission.free,
            room=self._admission.room,
            warm=self._executor.warm,
            missing=self._executor.missing,
            reason=reason,
        )

    async def wait_sessions(self) -> None:
        """Returns when all sessions are over, those in the queue included."""
        while self._live:
            await self._fewer.wait()

    async def serve_clients(self) -> None:
        """Returns when nobody reads from a session any more; of those that are over, until the last byte."""
        while self._clients:
            await self._fewer.wait()

    async def stop(self) -> None:
        """Ends all sessions and returns when they are over, or after `STOP_TIMEOUT`.

        The phase has to keep new ones out by then.
        """
        for session in self._live:
            session.end(Reason.SHUTDOWN)
        with trio.move_on_after(STOP_TIMEOUT) as scope:
            await self.wait_sessions()
        if scope.cancelled_caught:
            LOGGER.warning("%d sessions did not end in time", len(self._live))

    def _woken(self) -> None:
        self._fewer.set()
        self._fewer = trio.Event()

    @property
    def running(self) -> int:
        """Slots that are taken."""
        return self._admission.running

    @property
    def queued(self) -> int:
        """Sessions that wait for one."""
        return self._admission.queued
