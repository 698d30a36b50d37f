"""What is known and kept of a session: its plan, its log, its input, its stages' results, and how it ended.

No tasks and no waiting: those who drive a session (`tasks`) say here what has happened, and those who watch it
(`session`) find it here. The final state is written in one step, whoever writes it, and nothing follows it.
"""

from __future__ import annotations

from dataclasses import replace

import trio

from trio_exec.budget import Account
from trio_exec.events import Emit, SessionEnded, SessionFacts, SessionStarted, SessionTimes, StageTime
from trio_exec.launcher.frames import StageEnd
from trio_exec.model import Figures, Outcome, Reason, StageName, StageResult, State, Status, Stream
from trio_exec.session.ending import cause_of, explain, explain_hits, explain_overrun, figures_of
from trio_exec.session.files import Collection
from trio_exec.session.lifecycle import Lifecycle
from trio_exec.session.output import OutputLog
from trio_exec.session.plan import Plan
from trio_exec.session.stdin import Stdin

_NOT_ITS_DOING = {
    *(Reason.STOPPED, Reason.DETACHED, Reason.QUEUE_TIMEOUT),
    *(Reason.REVOKED, Reason.SHUTDOWN, Reason.EXECUTOR_FAILED),
}
_STATES = {StageName.COMPILE: State.COMPILING, StageName.RUN: State.RUNNING}


class Record:
    """One session's.

    Args:
        facts: what is so all its life.
        plan: what it is to do.
        account: of what is kept for its clients; what `plan` holds was taken from it already.
        emit: reports its start and its end.

    Attributes:
        facts: the same.
        plan: less and less of it, as it is done.
        account: the same.
        log: what clients see.
        stdin: what clients send.
        terminal: rows and columns as last set, or None for pipes.
        end_wanted: set once somebody wants the session's end.
        end_reason: why.
        collection: what was kept of what the program left behind; None until then, or where nothing was asked for.
    """

    def __init__(self, facts: SessionFacts, plan: Plan, account: Account, emit: Emit) -> None:
        limits = plan.limits
        single = {Stream.STDOUT: limits.stdout_bytes, Stream.STDERR: limits.stderr_bytes}
        self.plan = plan.without_stdin()  # It is in the queue towards the program, and need not be kept twice.
        self.facts = facts
        self.account = account
        self._emit = emit
        self.log = OutputLog(
            limits.output_bytes,
            {stream: limit for stream, limit in single.items() if limit is not None},
            kept=account.add,
        )
        self.stdin = Stdin(plan.stdin, account, ends=plan.ends_input, terminal=plan.terminal is not None)
        self.terminal = plan.terminal
        self.end_wanted = trio.Event()
        self.end_reason: Reason | None = None
        self._end_message: str | None = None
        self._lifecycle = Lifecycle()
        self._status = Status(State.WAITING)
        self._stage: StageName | None = None
        self._stage_start: int | None = None
        self._stage_runs_since: float | None = None
        self._results: list[StageResult] = []
        self._created_at = trio.current_time()
        self._admitted_at: float | None = None
        self._times = SessionTimes()
        self._warm: bool | None = None
        self._settled = False
        self._lingering = False
        self.collection: Collection | None = None

    @property
    def status(self) -> Status:
        """The present state; what its fields hold depends on it."""
        return self._status

    @property
    def state(self) -> State:
        """The present state, by its name alone."""
        return self._lifecycle.state

    @property
    def ended(self) -> bool:
        """Whether the final state is in the log."""
        return self.state.final

    @property
    def settled(self) -> bool:
        """Whether all stages are over, and nothing can change how the session ended."""
        return self._settled or self.ended

    @property
    def _figures(self) -> Figures | None:
        return self._results[-1].figures if self._results else None

    def lingers(self) -> None:
        """Says that the program has ended: only what it left behind is waited for, which is no work of its own."""
        self._lingering = True

    @property
    def lingering(self) -> bool:
        """Whether the stage's command has ended, and the stage has not."""
        return self._lingering

    def end(self, reason: Reason, message: str | None = None) -> None:
        """Asks for the session's end; the first reason counts. Harmless when it has ended."""
        if self.end_reason is None and not self.settled:
            self.end_reason = reason
            self._end_message = message
            self.end_wanted.set()

    def queued(self, position: int) -> None:
        """Says that it waits at a position from 1; 0 stands for a slot."""
        if position == 0:
            self._admitted_at = trio.current_time()
            self._times = replace(self._times, queued=self._admitted_at - self._created_at)
        self._move(Status(State.WAITING, position=position or None))

    def container_opened(self, *, warm: bool) -> None:
        """Says that it has its container."""
        self._warm = warm

    def without_files(self) -> None:
        """Says that the files are where they belong."""
        self.account.give(self.plan.files_size)
        self.plan = self.plan.without_files()

    def stage_sent(self, stage: StageName) -> None:
        """Says that a stage is begun: what comes of it from now on is its own."""
        self._stage = stage
        self._lingering = False
        self._stage_start = self.log.end

    def stage_runs(self) -> None:
        """Says that the stage's command runs."""
        assert self._stage is not None  # noqa: S101 - what runs was sent
        self._stage_runs_since = trio.current_time()
        if self._admitted_at is not None and self._times.opening is None:
            self._times = replace(self._times, opening=self._stage_runs_since - self._admitted_at)
            self._emit(SessionStarted(self.facts, bool(self._warm), self._times))
        self._move(Status(_STATES[self._stage], stage=self._stage))

    def output(self, stream: Stream, data: bytes) -> None:
        """Appends what a stage wrote; beyond a limit, it wants the session's end."""
        if self._times.first_output is None:
            self._times = replace(self._times, first_output=trio.current_time() - self._created_at)
        if overrun := self.log.write(stream, data):
            self.end(Reason.OUTPUT_LIMIT, explain_overrun(overrun))

    def stage_ended(self, end: StageEnd) -> None:
        """Says how the stage ended. The session is over with it if it was the last, failed, or is not to go on.

        At once: whatever is asked for from now on can't change how the program ended. Only where files are to be
        collected, it is not concluded yet, but `settled`.
        """
        self._end_stage(end)
        if (cause := cause_of(end)) is not None:
            self.end(cause)
        last = self._stage is self.plan.stages[-1].name
        if last or self.end_reason is not None or end.exit_code != 0:
            self._settled = True
            if not (self.plan.collect and last):
                self.conclude()

    def _end_stage(self, end: StageEnd | None) -> None:
        assert self._stage is not None  # noqa: S101 - what ends was sent
        assert self._stage_start is not None  # noqa: S101 - likewise
        figures = None if end is None else figures_of(end)
        start, self._stage_start = self._stage_start, None
        since, self._stage_runs_since = self._stage_runs_since, None
        if since is not None:
            ran = StageTime(self._stage, since - self._created_at, trio.current_time() - self._created_at)
            self._times = replace(self._times, stages=(*self._times.stages, ran))
        self.log.end_streams()
        self._results.append(StageResult(self._stage, figures, start, self.log.end))
        self.log.show(replace(self.log.present, waiting=False, sleeping=False, idle_until=None))

    def conclude(self) -> None:
        """Writes the final state, behind all output, closes the log, and keeps nothing else."""
        if self._stage_start is not None:
            self._end_stage(None)
        reason = self.end_reason
        sentences = [] if reason is None else [self._end_message or explain(reason, self.plan.limits, self._stage)]
        if reason not in _NOT_ITS_DOING and (hits := explain_hits(self._figures, self.plan.limits)) is not None:
            sentences.append(hits)
        collection = self.collection
        outcome = Outcome(
            tuple(self._results),
            reason,
            "; ".join(sentences) or None,
            self.log.truncated,
            files=None if collection is None else collection.listed,
            files_omitted=() if collection is None else tuple(collection.omitted),
        )
        state = State.FINISHED if reason is None else State.TERMINATED
        self._move(Status(state, stage=self._stage, outcome=outcome))
        self.log.close()
        self.stdin.close()
        self.account.give(self.plan.files_size)
        self.plan = self.plan.without_content()
        times = replace(self._times, lasted=trio.current_time() - self._created_at)
        self._emit(SessionEnded(self.facts, self._status, self._warm, times, self.stdin.taken, self.log.written))

    def _move(self, status: Status) -> None:
        self._lifecycle.move(status.state)
        self._status = status
        self.log.add_state(status)
