"""A batch: a program that is compiled once, and run for many cases.

    run                     the batch's nursery
    ├─ watch                its one deadline
    └─ lanes                one for each container that is used at once
       └─ sessions          one for the compile stage, one for each case

Every case is a session of its own (see `trio_exec.session`), with a log, input, limits and an end like any other. Only
its container comes from elsewhere. With `Isolation.PROCESS`, the cases share one, one after the other; its
launcher puts the workspace back and kills what is left before each. With `Isolation.CONTAINER`, each has a fresh one,
into which the compiled program is carried.

Results are handed over one by one, and nothing goes on before they are taken: so a batch never holds more of its cases'
output than one for each lane.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

import trio

from trio_exec.budget import Account
from trio_exec.engine.batch_plan import BatchPlan, CasePlan
from trio_exec.engine.comparison import matches
from trio_exec.events import (
    BatchEnded,
    Emit,
    Event,
    SessionEnded,
    SessionFacts,
    SessionStarted,
    SessionTimes,
    StageTime,
    Usage,
)
from trio_exec.executor.base import ContainerSpec, Executor, Opener
from trio_exec.model import Isolation, Outcome, Reason
from trio_exec.session.carried import Carried, Carrying
from trio_exec.session.ending import explain
from trio_exec.session.failures import failures_ended
from trio_exec.session.files import send_files
from trio_exec.session.lent import LentContainer
from trio_exec.session.plan import Plan
from trio_exec.session.session import SESSION_SIZE, Session
from trio_exec.session.tasks import Slot, batch_lifetime

LOGGER = logging.getLogger("trio_exec.batch")


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compile stage is over; whoever gets this closes the session's account."""

    session: Session


@dataclass(frozen=True, slots=True)
class CaseEnded:
    """A case is over; whoever gets this closes the session's account.

    Attributes:
        index: which, from 0.
        session: how it went.
        matches: whether it wrote what was expected; None where nothing was.
        passed: whether it ended by itself, with exit code 0, and matches where something was expected.
    """

    index: int
    session: Session
    matches: bool | None
    passed: bool


class _Granted:
    """The place of a session whose batch has a slot."""

    position = 0

    async def wait_moved(self, known: int) -> None:
        del known
        await trio.sleep_forever()

    def leave(self) -> None:
        pass


class BatchRun:
    """One batch. Made by the engine, followed by one client.

    Args:
        facts: what is so of it all its life.
        plan: what to do.
        executor: where from to take containers.
        slot: the batch's place among the sessions that run.
        free_slot: gives one more, if one is free.
        compiles: is held while the compile stage has its limits.
        new_account: opens an account of what one of its sessions keeps.
        account: of what the batch keeps; what `plan` holds was taken from it already.
        emit: reports its start and its end.
        queue_timeout: seconds to wait for the slot.
        timeout: seconds that all of it may take from then on.
        patience: seconds that it waits for its client to take a result.

    Attributes:
        end_reason: why it was cut short; None if it was not.
        message: the same, for people.
        passed: cases that passed.
        failed: cases that did not.
    """

    def __init__(
        self,
        facts: SessionFacts,
        plan: BatchPlan,
        executor: Executor,
        slot: Slot,
        *,
        free_slot: Callable[[], Slot | None],
        compiles: trio.CapacityLimiter,
        new_account: Callable[[], Account],
        account: Account,
        emit: Emit,
        queue_timeout: float,
        timeout: float,
        patience: float,
    ) -> None:
        self.facts = facts
        self._plan = plan
        self._executor = executor
        self._slot = slot
        self._free_slot = free_slot
        self._compiles = compiles
        self._new_account = new_account
        self._account = account
        self._emit = emit
        self._queue_timeout = queue_timeout
        self._timeout = timeout
        self._patience = patience
        self._todo = deque(plan.cases)
        self._sessions: set[Session] = set()
        self._give, self._results = trio.open_memory_channel[Compiled | CaseEnded](0)
        self._end_wanted = trio.Event()
        self._created_at = trio.current_time()
        self.end_reason: Reason | None = None
        self.message: str | None = None
        self._warm: bool | None = None
        self._times = SessionTimes()
        self._usage = Usage()
        self._stages: list[StageTime] = []
        self.passed = 0
        self.failed = 0

    @property
    def skipped(self) -> int:
        """Cases that were not run to their end."""
        return len(self._plan.cases) - self.passed - self.failed

    @property
    def results(self) -> trio.MemoryReceiveChannel[Compiled | CaseEnded]:
        """What comes of it: the compile stage, if the language has one, then cases in the order of their ends."""
        return self._results

    def end(self, reason: Reason, message: str | None = None) -> None:
        """Asks for the batch's end: cases that run are ended, and no more are begun. The first reason counts."""
        if self.end_reason is None:
            self.end_reason = reason
            self.message = message or explain(reason, self._plan.whole.limits, None)
            self._end_wanted.set()
            for session in list(self._sessions):
                session.end(reason, message)

    async def run(self) -> None:
        """Runs it to its end, after which `results` ends.

        Cancellation: ends it with the reason `shutdown`.
        """
        over = False
        try:
            with self._give, failures_ended(self.end, LOGGER, "batch", self.facts.session_id):
                async with trio.open_nursery() as nursery:
                    await self._wait_for_slot()
                    if self.end_reason is None:
                        nursery.start_soon(self._watch)
                        await self._live()
                    over = True
                    nursery.cancel_scope.cancel(reason="the batch is over")
        finally:
            if not over:
                self.end(Reason.SHUTDOWN)
            self._slot.leave()
            self._account.close()
            lasted = trio.current_time() - self._created_at
            times = replace(self._times, lasted=lasted, stages=tuple(self._stages))
            counts = (self.passed, self.failed, self.skipped)
            self._emit(BatchEnded(self.facts, self.end_reason, *counts, self._warm, times, self._usage))

    async def _wait_for_slot(self) -> None:
        with trio.move_on_after(self._queue_timeout) as scope:
            async with self._until_end():
                while self._slot.position:
                    await self._slot.wait_moved(self._slot.position)
                self._times = SessionTimes(queued=trio.current_time() - self._created_at)
        if scope.cancelled_caught:
            self.end(Reason.QUEUE_TIMEOUT)

    async def _watch(self) -> None:
        await trio.sleep(self._timeout)
        self.end(Reason.EXECUTION_TIMEOUT, f"the batch took longer than {self._timeout:g} seconds")

    @asynccontextmanager
    async def _until_end(self) -> AsyncGenerator[None]:
        """For all that is done outside of sessions: an end that is wanted cancels it; whoever goes on has to look."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_at_end, nursery.cancel_scope)
            yield
            nursery.cancel_scope.cancel(reason="it is done")

    async def _cancel_at_end(self, scope: trio.CancelScope) -> None:
        await self._end_wanted.wait()
        scope.cancel(reason=f"the batch is to end: {self.end_reason}")

    async def _live(self) -> None:
        if self._plan.isolation is Isolation.PROCESS:
            await self._share_containers()
            return
        carried = await self._compile_to_carry() if self._plan.compiles else None
        if self._todo and self.end_reason is None:
            await self._run_lanes(self._executor if carried is None else Carrying(self._executor, carried))

    async def _share_containers(self) -> None:
        """Runs all cases in one container; in another one whenever that is of no more use."""
        again: CasePlan | None = None
        compiled = False
        while (self._todo or again is not None) and self.end_reason is None:
            async with self._container() as lent:
                if lent is None or not await self._prepare(lent, tell=not compiled):
                    return
                compiled = True
                while lent.usable and self.end_reason is None and (self._todo or again is not None):
                    case, again = again or self._todo.popleft(), None
                    first = lent.uses == 0
                    session = await self._run_session(case.plan, lent)
                    lent.usable &= _told_its_end(session)
                    if not first and not lent.usable and _outcome(session).reason is Reason.EXECUTOR_FAILED:
                        # It may be what the case before has left: this one gets a fresh container.
                        session.account.close()
                        again = case
                        break
                    await self._deliver_case(case, session)

    @asynccontextmanager
    async def _container(self) -> AsyncGenerator[LentContainer | None]:
        """A container of the batch's own; None when its end was wanted before that was there."""
        async with AsyncExitStack() as stack:
            lent: LentContainer | None = None
            async with self._until_end():
                lent = LentContainer(await stack.enter_async_context(self._executor.open_container(self._spec())))
            yield lent

    def _spec(self) -> ContainerSpec:
        plan = self._plan.whole
        return ContainerSpec(
            session_id=self.facts.session_id,
            language=plan.language.name,
            limits=plan.limits,
            resources=[stage.resources for stage in plan.stages],
            may_use_prestart=plan.may_use_prestart and self._plan.compiles,
            lifetime=batch_lifetime(plan.limits, self._timeout),
        )

    async def _prepare(self, lent: LentContainer, *, tell: bool) -> bool:
        """Brings a container to where cases can begin; says whether they can."""
        if self._plan.compiles and not await self._compile(lent, tell=tell):
            return False
        async with self._until_end():
            if not self._plan.compiles:
                await send_files(lent, self._plan.whole.files)
            await lent.save()
        return self.end_reason is None

    async def _compile(self, lent: LentContainer, *, tell: bool) -> bool:
        session = await self._run_session(self._plan.compile_stage, lent)
        went_well = _succeeded(session)
        if tell:
            await self._deliver(Compiled(session))
        else:
            session.account.close()
            if not went_well:
                self.end(Reason.EXECUTOR_FAILED, "the program was compiled once, and could not be compiled again")
        if not went_well:
            self._todo.clear()
        return went_well

    async def _compile_to_carry(self) -> Carried | None:
        async with self._container() as lent:
            if lent is not None and await self._compile(lent, tell=True):
                async with self._until_end():
                    return await Carried.taken_from(lent, self._account, self._plan.whole.limits)
        return None

    async def _run_lanes(self, opener: Opener) -> None:
        async with trio.open_nursery() as lanes:
            lanes.start_soon(self._run_lane, opener, None)
            for _ in range(min(self._plan.parallel, len(self._todo)) - 1):
                if (slot := self._free_slot()) is not None:
                    lanes.start_soon(self._run_lane, opener, slot)

    async def _run_lane(self, opener: Opener, slot: Slot | None) -> None:
        try:
            while self._todo and self.end_reason is None:
                case = self._todo.popleft()
                await self._deliver_case(case, await self._run_session(case.plan, opener))
        finally:
            if slot is not None:
                slot.leave()

    async def _run_session(self, plan: Plan, opener: Opener) -> Session:
        account = self._new_account()
        account.add(SESSION_SIZE + plan.files_size + len(plan.stdin))  # The batch has them in its own account as well.
        session = Session(
            self.facts,
            plan,
            opener,
            _Granted(),
            compiles=self._compiles,
            account=account,
            emit=self._note,
            queue_timeout=math.inf,
            detach_grace=math.inf,
        )
        self._sessions.add(session)
        if self.end_reason is not None:
            session.end(self.end_reason, self.message)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
        return session

    def _note(self, event: Event) -> None:
        """Adds what happens in one of its sessions to what is told of the batch."""
        match event:
            case SessionStarted() if self._warm is None:
                self._warm = event.warm
                opening = trio.current_time() - self._created_at - (self._times.queued or 0)
                self._times = replace(self._times, opening=opening)
                self._emit(SessionStarted(self.facts, event.warm, self._times))
            case SessionEnded():
                self._usage += event.usage
                self._stages += _later(event.times, trio.current_time() - self._created_at)
            case _:
                pass

    async def _deliver_case(self, case: CasePlan, session: Session) -> None:
        expected = case.expected
        as_expected = None if expected is None else matches(session.log, expected, self._plan.comparison)
        passed = _succeeded(session) and as_expected is not False
        if self.end_reason is not None and _outcome(session).reason is self.end_reason:
            session.account.close()  # It was cut short with the batch: it counts as skipped.
            return
        self.passed += passed
        self.failed += not passed
        if self._plan.stop_on_failure and not passed:
            self._todo.clear()
        await self._deliver(CaseEnded(case.index, session, as_expected, passed))

    async def _deliver(self, result: Compiled | CaseEnded) -> None:
        with trio.move_on_after(self._patience), suppress(trio.BrokenResourceError):
            await self._give.send(result)
            return
        result.session.account.close()  # Nobody takes it any more.
        self.end(Reason.DETACHED)


def _later(times: SessionTimes, now: float) -> list[StageTime]:
    """When a session's stages ran, by the time of the batch in which it has just ended."""
    offset = now - (times.lasted or 0)
    return [StageTime(it.stage, it.start + offset, it.end + offset) for it in times.stages]


def _outcome(session: Session) -> Outcome:
    outcome = session.status.outcome
    assert outcome is not None  # noqa: S101 - sessions that were run have one
    return outcome


def _told_its_end(session: Session) -> bool:
    """Whether its last stage came to its end, and so left its container as it should."""
    return _outcome(session).figures is not None


def _succeeded(session: Session) -> bool:
    outcome = _outcome(session)
    return outcome.reason is None and outcome.figures is not None and outcome.figures.exit_code == 0
