"""What tests do with sessions and containers of their own process."""

from __future__ import annotations

from dataclasses import dataclass

from trio_exec.api.native.text import Text, TextCursor
from trio_exec.executor.base import ContainerSpec
from trio_exec.model import Figures, Outcome, Owner, Reason, Requester, StageName, State, Status, Stream
from trio_exec.session.session import Session
from trio_exec.settings import Settings

SOMEBODY = Requester(Owner("somebody"))
LIMITS = Settings().limits
RESOURCES = LIMITS.resources(StageName.RUN)
SPEC = ContainerSpec(session_id="test", language="python", limits=LIMITS, resources=[RESOURCES], lifetime=60)


@dataclass(frozen=True, slots=True)
class Final:
    """A state and, if it is a final one, its outcome, side by side."""

    state: State
    stage: StageName | None
    reason: Reason | None
    message: str | None
    figures: Figures | None
    output_truncated: bool | None


def view(status: Status) -> Final:
    outcome = status.outcome
    if outcome is None:
        return Final(status.state, status.stage, None, None, None, None)
    return Final(status.state, status.stage, outcome.reason, outcome.message, outcome.figures, outcome.output_truncated)


def outcome_of(session: Session) -> Outcome:
    assert session.status.outcome is not None
    return session.status.outcome


async def over(session: Session) -> Final:
    while not session.log.closed:
        await session.log.wait_news(session.log.end, session.log.present)
    return view(session.status)


def entries(session: Session) -> list[Status | Text]:
    """What a client that reads text is sent."""
    seen: list[Status | Text] = []
    cursor = TextCursor(session.log, 0)
    while (entry := cursor.read()) is not None:
        seen.append(entry if isinstance(entry, Text) else entry.status)
    return seen


def output(session: Session, wanted: Stream = Stream.STDOUT) -> str:
    return "".join(it.data for it in entries(session) if isinstance(it, Text) and it.stream is wanted)


def states(session: Session) -> list[State]:
    return [it.state for it in entries(session) if isinstance(it, Status)]
