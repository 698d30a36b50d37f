"""`POST /run`: a session, or a batch of them, as one answer.

The answer is written from the sessions' logs while it is sent, so it is never in memory as a whole, and however large
it is, a slow client holds no more than those logs. Its status was sent before the program ended: it says that the
request was taken, and the answer says how the program fared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import Any

import trio
from pydantic_core import to_json
from quart.wrappers.response import ResponseBody

from trio_exec.api.native.long_json import LongList, LongText, encode, joined
from trio_exec.api.native.messages import SessionMessage, message_of
from trio_exec.api.native.outcomes import BatchCounts
from trio_exec.api.native.parts import EncodingName, FileContent, StageInfo, StateFields, Wire
from trio_exec.api.native.text import Text, cursor, whole
from trio_exec.engine.batch import BatchRun, CaseEnded, Compiled
from trio_exec.model import Reason, StageResult, Stream
from trio_exec.session.output import StateChange
from trio_exec.session.session import Session

HEARTBEAT = 5
"""Seconds without anything to send after which white space is sent, which means nothing in JSON, nor before a line of
it. Proxies see that there is life, and we see clients that have gone: their systems refuse it."""
SPACE = b" "


def _fields_of(part: Wire) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_none=True)


def _outcome_of(session: Session, encoding: EncodingName) -> dict[str, Any]:
    """The fields of `OutcomeFields`."""
    log = session.log
    fields = _fields_of(StateFields(**StateFields.fields_of(session.status)))
    fields.pop("stage", None)
    fields.pop("stages")
    fields |= {
        "stdout": LongText(whole(log, Stream.STDOUT, encoding, 0, log.end)),
        "stderr": LongText(whole(log, Stream.STDERR, encoding, 0, log.end)),
        "output": LongList(_pieces_of(session, encoding)),
    }
    if "files" in fields:
        fields["files"] = LongList(_fields_of(FileContent.of(name, content)) for name, content in session.files.items())
    return fields


def _pieces_of(session: Session, encoding: EncodingName) -> Iterator[dict[str, object]]:
    reader = cursor(session.log, 0, encoding)
    while (entry := reader.read()) is not None:
        if isinstance(entry, Text):
            yield {"stream": entry.stream.name.lower(), "data": entry.data}


def _stage_of(session: Session, stage: StageResult, encoding: EncodingName) -> dict[str, Any]:
    fields = _fields_of(StageInfo(stage=stage.stage.value, **StageInfo.figures_of(stage.figures)))
    for stream in Stream:
        text = whole(session.log, stream, encoding, stage.start, stage.stop)
        fields[stream.name.lower()] = LongText(text)
    return fields


def _encoding_field(encoding: EncodingName) -> dict[str, object]:
    return {"encoding": encoding} if encoding == "base64" else {}


def _run_answer(session: Session, encoding: EncodingName) -> dict[str, Any]:
    outcome = session.status.outcome
    assert outcome is not None  # noqa: S101 - it is over
    stage = session.status.stage
    return {
        "sessionId": session.id,
        "language": session.facts.language,
        **({} if stage is None else {"stage": stage.value}),
        **_outcome_of(session, encoding),
        "stages": [_stage_of(session, stage, encoding) for stage in outcome.stages],
        **_encoding_field(encoding),
    }


def _lines(session: Session, path: str, encoding: EncodingName) -> Iterator[bytes | int]:
    """The answer to `POST /run` as lines; a number is a position in the log at which there is nothing yet."""
    yield _line(SessionMessage(session_id=session.id, websocket=path, watch_id=session.watch_id))
    reader = cursor(session.log, 0, encoding)
    while True:
        entry = reader.read()
        if entry is None:
            if session.log.closed:
                return
            yield reader.position
            continue
        if isinstance(entry, StateChange) and entry.status.state.final:
            for name, content in session.files.items():
                yield to_json({"type": "file", **_fields_of(FileContent.of(name, content))}) + b"\n"
        yield _line(message_of(entry, encoding))


def _line(message: Wire) -> bytes:
    return message.to_json().encode() + b"\n"


def _whole_answer(session: Session, encoding: EncodingName) -> Iterator[bytes | int]:
    """The same as one object."""
    while not session.log.closed:
        yield session.log.end
    yield from joined(encode(_run_answer(session, encoding)))


def _case_of(result: CaseEnded, encoding: EncodingName) -> dict[str, Any]:
    judged = {} if result.matches is None else {"matches": result.matches}
    return {"index": result.index, **judged, "passed": result.passed, **_outcome_of(result.session, encoding)}


def _counts_of(run: BatchRun) -> dict[str, Any]:
    return _fields_of(
        BatchCounts(
            state="finished" if run.end_reason is None else "terminated",
            reason=None if run.end_reason is None else run.end_reason.value,
            message=run.message,
            passed=run.passed,
            failed=run.failed,
            skipped=run.skipped,
        )
    )


class RunPieces:
    """The answer to `POST /run`, piece by piece.

    Args:
        session: to be followed by this alone.
        path: of its WebSocket.
        encoding: how output is given.
        lines: whether it is to be told as it comes.
    """

    def __init__(self, session: Session, path: str, encoding: EncodingName, *, lines: bool) -> None:
        self._log = session.log
        self._items = _lines(session, path, encoding) if lines else _whole_answer(session, encoding)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for item in self._items:
            if isinstance(item, bytes):
                return item
            with trio.move_on_after(HEARTBEAT) as scope:
                await self._log.wait_news(item, self._log.present)
            if scope.cancelled_caught:
                return SPACE
        raise StopAsyncIteration


class BatchPieces:
    """The answer to `POST /run` with `runs`, piece by piece; what a result holds is given back once it is sent.

    Args:
        run: to be followed by this alone.
        encoding: how output is given.
        lines: whether each result is to be told on a line of its own.
    """

    def __init__(self, run: BatchRun, encoding: EncodingName, *, lines: bool) -> None:
        self._run = run
        self._encoding: EncodingName = encoding
        self._lines = lines
        head = {"language": run.facts.language, **_encoding_field(encoding)}
        self._items = iter(()) if lines else iter([to_json(head)[:-1]])
        self._sent: Session | None = None
        self._cases_begun = False
        self._over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while (piece := next(self._items, None)) is None:
            self.close()
            if self._over:
                raise StopAsyncIteration
            with trio.move_on_after(HEARTBEAT):
                await self._receive()
                continue
            return SPACE
        return piece

    async def _receive(self) -> None:
        try:
            result = await self._run.results.receive()
        except trio.EndOfChannel:
            self._over = True
            self._items = joined(self._end())
        else:
            self._sent = result.session
            self._items = joined(self._form_of(result))

    def close(self) -> None:
        """Gives back what the result holds that was sent last."""
        if self._sent is not None:
            self._sent.account.close()
            self._sent = None

    def _form_of(self, result: Compiled | CaseEnded) -> Iterator[bytes]:
        match result:
            case Compiled(session):
                kind, fields = "compile", _outcome_of(session, self._encoding)
            case CaseEnded():
                kind, fields = "case", _case_of(result, self._encoding)
        if self._lines:
            yield from encode({"type": kind, **fields})
            yield b"\n"
            return
        if isinstance(result, Compiled):
            yield b',"compile":'
        else:
            yield b"," if self._cases_begun else b',"cases":['
            self._cases_begun = True
        yield from encode(fields)

    def _end(self) -> Iterator[bytes]:
        counts = _counts_of(self._run)
        if self._lines:
            yield to_json({"type": "batch", **counts}) + b"\n"
            return
        yield b"]," if self._cases_begun else b',"cases":[],'
        yield to_json(counts)[1:]


@contextmanager
def following(session: Session) -> Generator[None]:
    """For as long as the answer about a session is sent. When its client leaves, the session ends."""
    with session.attached():
        try:
            yield
        finally:
            session.end(Reason.DETACHED)


@contextmanager
def following_batch(run: BatchRun, pieces: BatchPieces) -> Generator[None]:
    """The same for a batch."""
    try:
        yield
    finally:
        pieces.close()
        run.end(Reason.DETACHED)
        run.results.close()


class StreamedBody(ResponseBody):
    """The body of an answer that is made while it is sent.

    Args:
        pieces: of it.
        held: for as long as it is sent.
    """

    def __init__(self, pieces: AsyncIterator[bytes], *held: AbstractContextManager[None]) -> None:
        self._pieces = pieces
        self._held = held
        self._stack = ExitStack()

    async def __aenter__(self) -> AsyncIterator[bytes]:
        with ExitStack() as stack:
            for context in self._held:
                stack.enter_context(context)
            self._stack = stack.pop_all()
        return self._pieces

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stack.close()
