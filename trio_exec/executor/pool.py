"""A pool of warm containers: each is hardened and single-use like any other, but already there.

    run
    ├─ (itself)         finds what is missing, a few at a time, and lets sessions that begin go first
    ├─ let_go_at_drain  once the server drains: lets go of all that nobody uses
    └─ keeper           one for each warm container: owns it until it is used up, dies or grows old

A session borrows a container from its keeper, which stays its owner and removes it afterwards. Where a language
allows it, the container holds a command that has started up already (see `frames`, Prestart); the launcher uses it
only for the very same command and where other files make no difference. So what a program sees is the same, warm or
cold.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import (
    ContainerBorrowed,
    ContainerUnused,
    ContainerWarmed,
    Emit,
    Miss,
    PoolMissed,
    Unused,
    WarmingFailed,
    ignore,
)
from trio_exec.executor.base import Container, ContainerSpec, Executor
from trio_exec.executor.targets import PoolKey, Targets
from trio_exec.launcher import frames
from trio_exec.launcher.prestart import Prestart
from trio_exec.limits import Limits, Resources
from trio_exec.phases import Phase, Phases

LOGGER = logging.getLogger("trio_exec.pool")

MAX_AGE = 1800
"""Seconds after which a container that nobody used is replaced: nothing should run for ever unwatched."""
PRESTART_TIMEOUT = 180
"""Seconds for a command to start up ahead; a JVM with half a processor, on a small or busy machine, takes some."""
RETRY_FIRST, RETRY_LAST = 1, 60
"""Seconds until a kind that could not be warmed is tried again; doubled each time. Other kinds don't wait for it."""
RETRY_SLOW = 1800
"""Likewise, where its command did not start up in time: each try takes a processor for as long, and in vain."""
REVIEW_INTERVAL = 30
"""Seconds after which the shares are looked at again, though nothing happened."""
MISSING_INTERVAL = 1
"""Likewise, as long as a language is missing that may come."""
CLEANUP_TIMEOUT = 15
"""Seconds that a session waits for its keeper to remove the container."""
QUIET = 0.5
"""Seconds after a session's start in which nothing is warmed: that takes a processor, and the user waits just then."""
QUIET_PATIENCE = 2
"""Seconds after which a pool that is not full refills although sessions keep starting: under a steady load there is
no better moment, and what a session finds warm it need not do itself."""


class _TooSlowError(ExecutorError):
    """This machine is too slow, or too busy, for what is started ahead."""


@dataclass(eq=False, slots=True)
class _Warm:
    """A warm container between its keeper, which owns it, and whoever borrows it. Each event is set once.

            keeper                               borrower
              │ opens it, and watches it             │
              │ ◄──────────── borrowed ───────────── │ takes it out of the pool
              │ watches it no more                   │
              │ ─────────── handed_over ───────────► │ uses it, unless it is dead
              │ ◄─────────── given_back ──────────── │ needs it no more
              │ removes it                           │
              │ ───────────── removed ─────────────► │ is done

    One that nobody uses is borrowed and given back at once by the pool itself; one that grows old or dies is removed
    without more ado.

    Attributes:
        prestarted: whether it holds commands that were started ahead.
        since: when it was ready, on Trio's clock.
        dead: whether it ended, or said something, before it was borrowed.
    """

    container: Container
    prestarted: bool
    since: float
    dead: bool = False
    borrowed: trio.Event = field(default_factory=trio.Event)
    handed_over: trio.Event = field(default_factory=trio.Event)
    given_back: trio.Event = field(default_factory=trio.Event)
    removed: trio.Event = field(default_factory=trio.Event)


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is of one kind.

    Attributes:
        warm: containers that are there, unused.
        warming: containers that are being made ready.
        wanted: how many there should be.
    """

    warm: int
    warming: int
    wanted: int


@dataclass(frozen=True, slots=True)
class _Retry:
    at: float
    delay: float


class Pool:
    """An executor that has containers ready. `run` must be running.

    Args:
        executor: makes the containers.
        sizes: how many to keep by language, as a rule; see `shares`.
        prestarts: what can be started ahead, by language; in the order of the stages.
        resources: what each stage may use, by language; likewise.
        limits: those of the containers; a session whose limits can't be put in force later gets a cold one.
        lifetime: seconds that a session may need a container for.
        phases: once the server drains, no more is warmed.
        emit: reports what is warmed, what goes unused, and what can't be had.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        sizes: Mapping[str, int],
        prestarts: Mapping[str, Sequence[Prestart]],
        resources: Mapping[str, Sequence[Resources]],
        limits: Limits,
        lifetime: int,
        phases: Phases,
        emit: Emit = ignore,
    ) -> None:
        self._executor = executor
        self._prestarts = prestarts
        self._resources = resources
        self._limits = limits
        self._lifetime = lifetime
        self._phases = phases
        self._emit = emit
        self._targets = Targets(sizes, trio.current_time())
        self._idle: dict[PoolKey, deque[_Warm]] = {kind: deque() for kind in self._targets.kinds}
        self._warming: Counter[PoolKey] = Counter()
        self._retries: dict[PoolKey, _Retry] = {}
        self._opening = 0
        self._quiet_until = -math.inf
        self._changed = trio.Event()

    @property
    def warm(self) -> Mapping[str, int]:
        """How many containers are there already, unused, by language."""
        counts = dict.fromkeys((kind.language for kind in self._targets.kinds), 0)
        for kind, warm in self._idle.items():
            if warm:
                counts[kind.language] = counts.get(kind.language, 0) + len(warm)
        return counts

    @property
    def stock(self) -> Mapping[PoolKey, Stock]:
        """What there is of each kind, and should be."""
        wanted = self._targets.targets(trio.current_time())
        return {kind: Stock(len(idle), self._warming[kind], wanted.get(kind, 0)) for kind, idle in self._idle.items()}

    def resize(self, sizes: Mapping[str, int]) -> None:
        """Takes other sizes; see `__init__`. What is missing is warmed and what is too much let go of, soon.

        Containers that sessions use are not touched.
        """
        self._targets.resize(sizes)
        for kind in self._targets.kinds:
            self._idle.setdefault(kind, deque())
            self._retries.pop(kind, None)
        self._wake()

    async def wait_ready(self) -> None:
        """Returns once containers can be opened; see `Executor`."""
        await self._executor.wait_ready()

    @property
    def warm_at_once(self) -> int:
        """How many containers it warms at once; see `Executor`."""
        return self._executor.warm_at_once

    @property
    def can_update_limits(self) -> bool:
        """Whether the limits of a running container can be changed; see `Executor`."""
        return self._executor.can_update_limits

    @property
    def missing(self) -> Mapping[str, str]:
        """The languages that can't be run now; see `Executor`."""
        return self._executor.missing

    @property
    def versions(self) -> Mapping[str, str]:
        """The languages' versions; see `Executor`."""
        return self._executor.versions

    @property
    def not_ready_reason(self) -> str | None:
        """What keeps containers from being opened; see `Executor`."""
        return self._executor.not_ready_reason

    async def check(self) -> None:
        """Returns when `not_ready_reason` is up to date; see `Executor`."""
        await self._executor.check()

    @property
    def lingering(self) -> int:
        """How many containers are there that should not be; see `Executor`."""
        return self._executor.lingering

    async def wait_lingering(self, known: int) -> None:
        """Returns when `lingering` is another number; see `Executor`."""
        await self._executor.wait_lingering(known)

    async def _let_go_at_drain(self) -> None:
        await self._phases.wait(Phase.DRAINING)
        for kind, idle in self._idle.items():
            while idle:
                self._let_go(idle.popleft(), kind, Unused.DRAINING)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _let_go(self, warm: _Warm, kind: PoolKey, why: Unused) -> None:
        """Has the keeper remove a container that nobody used."""
        self._emit(ContainerUnused(kind.language, kind.terminal, why))
        warm.borrowed.set()
        warm.given_back.set()

    @asynccontextmanager
    async def open_container(self, spec: ContainerSpec) -> AsyncGenerator[Container]:
        """A warm container if there is one, else a cold one; see `Executor`."""
        kind = PoolKey(spec.language, spec.terminal)
        now = trio.current_time()
        self._targets.ask(kind, now)
        self._quiet_until = now + QUIET
        async with AsyncExitStack() as stack:
            while self._idle.get(kind) and self._will_do(spec):
                warm = self._idle[kind].popleft()
                self._wake()
                await stack.enter_async_context(self._borrow(warm))
                if warm.dead:
                    self._emit(ContainerUnused(kind.language, kind.terminal, Unused.DEAD))
                    continue  # It died just before.
                self._emit(ContainerBorrowed(kind.language, kind.terminal, now - warm.since))
                if warm.prestarted and not spec.may_use_prestart:
                    await warm.container.send(frames.encode_kill())
                yield warm.container
                return
            self._emit(PoolMissed(kind.language, kind.terminal, self._why_missed(kind)))
            self._opening += 1
            try:
                container = await stack.enter_async_context(self._executor.open_container(spec))
            finally:
                self._opening -= 1
                self._wake()
            yield container

    def _why_missed(self, kind: PoolKey) -> Miss:
        if kind not in self._targets.kinds:
            return Miss.NOT_KEPT
        return Miss.UNSUITABLE if self._idle.get(kind) else Miss.EMPTY

    def _will_do(self, spec: ContainerSpec) -> bool:
        """Whether a warm container will do, or can be made to."""
        # What was started ahead and is of no use takes memory for a moment more, and maybe more than is asked for.
        if spec.lifetime > self._lifetime:
            return False
        useless = bool(self._prestarts.get(spec.language)) and not spec.may_use_prestart
        reusable = spec.limits.allows_reuse_of(self._limits, can_update_limits=self.can_update_limits)
        return reusable and (spec.limits.memory_bytes == self._limits.memory_bytes or not useless)

    @asynccontextmanager
    async def _borrow(self, warm: _Warm) -> AsyncGenerator[None]:
        """For as long as a session uses it; afterwards its keeper has removed it."""
        warm.borrowed.set()
        try:
            await warm.handed_over.wait()
            yield
        finally:
            warm.given_back.set()
            with trio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                await warm.removed.wait()

    async def run(self) -> None:
        """Keeps the pool filled, once the executor is ready, until cancelled, which removes what is in it."""
        await self._executor.wait_ready()
        behind_since = math.inf
        async with trio.open_nursery() as keepers:
            keepers.start_soon(self._let_go_at_drain)
            while True:
                now = trio.current_time()
                kind = self._missing(now)
                if kind is None and not self._warming:
                    behind_since = math.inf
                if kind is None or self._warming.total() >= self._executor.warm_at_once:
                    review = MISSING_INTERVAL if self._executor.missing else REVIEW_INTERVAL
                    await self._wait_changed(min([now + review, *self._retry_times(now)]))
                    continue
                behind_since = min(behind_since, now)
                patient_until = behind_since + QUIET_PATIENCE
                if now < patient_until and self._opening:
                    await self._wait_changed(patient_until)
                elif now < (quiet_until := min(self._quiet_until, patient_until)):
                    await trio.sleep_until(quiet_until)
                else:
                    self._warming[kind] += 1
                    keepers.start_soon(self._keep, kind)

    async def _wait_changed(self, until: float) -> None:
        with trio.move_on_at(until):
            await self._changed.wait()

    def _retry_times(self, now: float) -> list[float]:
        return [retry.at for retry in self._retries.values() if retry.at > now]

    def _missing(self, now: float) -> PoolKey | None:
        """What to warm next, if anything; lets go of what is too much."""
        if self._phases.reached(Phase.DRAINING):
            return None
        targets = self._targets.targets(now)
        for kind, idle in self._idle.items():
            while len(idle) > targets[kind]:
                self._let_go(idle.popleft(), kind, Unused.TOO_MANY)
        lack = {
            kind: targets[kind] - len(idle) - self._warming[kind]
            for kind, idle in self._idle.items()
            if kind.language not in self._executor.missing
            and (kind not in self._retries or self._retries[kind].at <= now)
        }
        kind = max(lack, key=lambda it: (lack[it], -len(self._idle[it])), default=None)
        return kind if kind is not None and lack[kind] > 0 else None

    async def _keep(self, kind: PoolKey) -> None:
        """Owns one container: warms it, has it ready, and removes it once it was used."""
        warm: _Warm | None = None
        start = trio.current_time()
        try:
            async with self._executor.open_container(self._spec(kind)) as container:
                prestarted = await self._prestart(container, kind)
                warm = _Warm(container, prestarted, since=trio.current_time())
                container.warm = True
                self._emit(ContainerWarmed(kind.language, kind.terminal, trio.current_time() - start))
                self._warmed(kind, warm)
                if await self._wait_borrowed(warm, kind):
                    warm.handed_over.set()
                    await warm.given_back.wait()
        except ExecutorError as error:
            LOGGER.warning("no warm container for %s: %s", kind.language, error)
            self._emit(WarmingFailed(kind.language, kind.terminal, error.message))
            self._refused(kind, RETRY_SLOW if isinstance(error, _TooSlowError) else RETRY_FIRST)
        finally:
            if warm is None:
                self._no_longer_warming(kind)
            else:
                warm.removed.set()

    def _spec(self, kind: PoolKey) -> ContainerSpec:
        return ContainerSpec(
            session_id="",
            language=kind.language,
            limits=self._limits,
            resources=self._resources[kind.language],
            lifetime=MAX_AGE + self._lifetime,
            terminal=kind.terminal,
        )

    def _warmed(self, kind: PoolKey, warm: _Warm) -> None:
        self._retries.pop(kind, None)
        if self._phases.reached(Phase.DRAINING):
            self._let_go(warm, kind, Unused.DRAINING)
        else:
            self._idle[kind].append(warm)
        self._no_longer_warming(kind)

    def _refused(self, kind: PoolKey, at_first: float) -> None:
        last = self._retries.get(kind)
        delay = max(at_first, 0 if last is None else min(2 * last.delay, RETRY_LAST))
        self._retries[kind] = _Retry(trio.current_time() + delay, delay)

    def _no_longer_warming(self, kind: PoolKey) -> None:
        self._warming[kind] -= 1
        self._warming += Counter()  # Which drops what is zero.
        self._wake()

    async def _prestart(self, container: Container, kind: PoolKey) -> bool:
        prestarts = self._prestarts.get(kind.language, ())
        for prestart in prestarts:
            await container.send(prestart.frame(kind.terminal))
        prestarted = 0
        with trio.move_on_after(PRESTART_TIMEOUT):
            while prestarted < len(prestarts):
                events = await container.receive()
                if any(event != frames.Prestarted() for event in events):
                    raise ExecutorError(f"a command could not be started ahead: {events}")
                prestarted += len(events)
            return bool(prestarts)
        raise _TooSlowError(f"what is started ahead did not start up within {PRESTART_TIMEOUT} seconds")

    async def _wait_borrowed(self, warm: _Warm, kind: PoolKey) -> bool:
        """Returns whether somebody borrows it; not so when it died or grew old."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                try:
                    events = await warm.container.receive()
                    LOGGER.warning("a warm container of %s says %s and is replaced", kind.language, events)
                except ExecutorError as error:
                    LOGGER.info("a warm container of %s is replaced: %s", kind.language, error)
                warm.dead = True
                nursery.cancel_scope.cancel(reason="it is of no use any more")

            nursery.start_soon(watch)
            with trio.move_on_after(MAX_AGE):
                await warm.borrowed.wait()
            nursery.cancel_scope.cancel(reason="no more watching")
        # It may have died while nobody knew the reason yet.
        warm.dead |= warm.container.gone
        if not warm.borrowed.is_set():
            self._idle[kind].remove(warm)
            self._emit(ContainerUnused(kind.language, kind.terminal, Unused.DEAD if warm.dead else Unused.OLD))
            self._wake()
        return warm.borrowed.is_set()
