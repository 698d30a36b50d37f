"""Calls to the engine: each in a thread, under a limiter, and told with its name, its time and its error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import APICalled, Emit

_T = TypeVar("_T")


class Calls:
    """Makes calls.

    Args:
        emit: reports each call that was answered.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    async def __call__(self, name: str, function: Callable[[], _T], limiter: trio.CapacityLimiter) -> _T:
        """Runs a blocking call in a thread, and returns what it does.

        Args:
            name: a word for what is asked for.
            function: the call.
            limiter: bounds how many there are at once.

        Raises:
            ExecutorError: as the call does.

        Cancellation: at any moment. The call goes on in its thread, and only its answer is lost.
        """
        seconds = 0.0

        def timed() -> _T:
            nonlocal seconds
            start = time.perf_counter()
            try:
                return function()
            finally:
                seconds = time.perf_counter() - start

        try:
            answer = await trio.to_thread.run_sync(timed, abandon_on_cancel=True, limiter=limiter)
        except ExecutorError as error:
            self._emit(APICalled(name, seconds, error.code))
            raise
        self._emit(APICalled(name, seconds, None))
        return answer
