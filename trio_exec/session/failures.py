"""What becomes of failures in a session or a batch: a reason for its end, and a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

from trio_exec.errors import ExecutorError, OutOfMemoryError, first_of
from trio_exec.ids import short_id
from trio_exec.model import Reason

End = Callable[[Reason, str | None], None]
"""Asks for an end, with a sentence for people where the reason alone does not say enough."""


@contextmanager
def failures_ended(end: End, logger: logging.Logger, what: str, whole_id: str) -> Generator[None]:
    """What fails inside ends whatever it happens in, and nothing else.

    Args:
        end: asks for its end.
        logger: is told.
        what: it is, for the log.
        whole_id: its id, of which the log gets the beginning.
    """
    try:
        yield
    except* OutOfMemoryError:
        end(Reason.MEMORY_LIMIT, None)
    except* ExecutorError as group:
        error = first_of(group)
        logger.warning("%s %s: %s", what, short_id(whole_id), error)
        end(Reason.EXECUTOR_FAILED, error.message)
    except* Exception:
        # A bug of ours must end this one only, and say so.
        logger.exception("%s %s failed", what, short_id(whole_id))
        end(Reason.EXECUTOR_FAILED, "internal error; see the server's log")
