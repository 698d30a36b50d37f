"""One program, many cases: answers to `POST /run` with `runs`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, Literal, Self, cast

from trio_exec.client.errors import ProtocolError
from trio_exec.client.events import T
from trio_exec.client.fields import Object, object_of, objects_of, parse_object
from trio_exec.client.requests import Program, Run, camel, case
from trio_exec.client.results import Batch, Case, Result, batch_of, case_of, compile_of


class Batching(Program, total=False):
    """What a batch may be given besides. What a program is given holds for every case that does not say otherwise.

    Attributes:
        isolation: `process`, one container for all cases, or `container`, a fresh one for each.
        compare: `exact`, or `trimmed`: white space at the ends of lines and at the end makes no difference.
        stop_on_failure: whether cases behind the first that does not pass are left out.
        parallel: how many containers may run at once.
    """

    isolation: Literal["process", "container"]
    compare: Literal["exact", "trimmed"]
    stop_on_failure: bool
    parallel: int


def batch_fields(runs: list[Run], options: Batching) -> dict[str, object]:
    """What a batch's request has beside its program."""
    given = cast("Object", options)
    names = [name for name in ("isolation", "compare", "stop_on_failure", "parallel") if given.get(name) is not None]
    return {"runs": [case(run) for run in runs], **{camel(name): given[name] for name in names}}


def whole_batch(data: Object, *, text: bool, language: str) -> Batch[Any]:
    """A batch that was answered as one object."""
    compiled = object_of(data, "compile")
    return batch_of(
        data,
        compile_of(compiled, text=text, language=language) if compiled else None,
        [case_of(it, text=text, language=language) for it in objects_of(data, "cases")],
        language=language,
    )


class BatchStream(Generic[T]):
    """The cases of a batch as they end; iterate over it.

    Attributes:
        compile: how the compile stage went, of languages that have one; known before the first case.
        batch: the whole, without its cases, once the iteration has ended; None before.
    """

    def __init__(self, lines: AsyncIterator[str], *, text: bool, language: str) -> None:
        self.compile: Result[T] | None = None
        self.batch: Batch[T] | None = None
        self._lines = lines
        self._text = text
        self._language = language

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Case[T]:
        async for line in self._lines:
            if not line.strip():
                continue
            data = parse_object(line)
            match data.get("type"):
                case "compile":
                    self.compile = compile_of(data, text=self._text, language=self._language)
                case "case":
                    return case_of(data, text=self._text, language=self._language)
                case "batch":
                    self.batch = batch_of(data, self.compile, (), language=self._language)
                case _:
                    pass
        if self.batch is None:
            raise ProtocolError("the answer ended before the batch did")
        raise StopAsyncIteration
