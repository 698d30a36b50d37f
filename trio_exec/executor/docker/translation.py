"""Foreign errors become ours, in one place: whatever docker-py raises, and whatever answers at an engine's address.

What comes out is for clients as well as for operators, so it is a sentence or two: an engine's own words are cut.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import logging
import os
import socket
import stat
from collections.abc import Generator, Iterator

import requests
import urllib3.exceptions
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.context import ContextAPI
from docker.errors import APIError

from trio_exec.errors import ExecutorError, ExecutorUnavailableError, TrioExecError

LOGGER = logging.getLogger("trio_exec.docker")

SHOWN = 300
"""Characters of an engine's words that are passed on; some quote the whole of a request."""
HTTP_BAD_REQUEST = 400

_UNIX = "unix://"
_SLOW = (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError)


@contextlib.contextmanager
def translated(what: str) -> Generator[None]:
    """Whatever is raised inside of the context comes out as one of ours.

    Args:
        what: what the engine was asked to do, as it follows "the engine could not".

    Raises:
        ExecutorUnavailableError: nothing answers that could be used; says what was tried, and what may help.
        ExecutorError: the engine refuses.
    """
    try:
        yield
    except TrioExecError:
        raise
    except APIError as error:
        raise _refusal(what, error) from error
    except Exception as error:
        raise ExecutorUnavailableError(_reason(what, error)) from error


def unusable_environment(error: Exception) -> ExecutorUnavailableError:
    """What to raise when no connection can be made of what the environment says, before anything was asked."""
    folder = os.environ.get("DOCKER_CONFIG") or "~/.docker"
    return ExecutorUnavailableError(
        f"what the environment says of the Docker engine can't be used: {type(error).__name__}: "
        f"{shortened(str(error))}; check DOCKER_HOST and {folder}/config.json"
    )


def shortened(words: str) -> str:
    """Foreign words on one line, cut if there are too many; all of them are in the log at DEBUG then."""
    line = " ".join(words.split())
    if len(line) <= SHOWN:
        return line
    LOGGER.debug("cut for clients: %s", line)
    return f"{line[:SHOWN]}…"


def address() -> str:
    """Where the engine is looked for."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_UNIX_SOCKET.removeprefix("http+")


def _refusal(what: str, error: APIError) -> ExecutorError:
    explanation = str(error.explanation or error)
    if error.status_code == HTTP_BAD_REQUEST and "client version" in explanation:
        return ExecutorUnavailableError(
            f"the Docker engine is another one than a moment ago ({shortened(explanation)}); it is asked anew"
        )
    hint = "; free some disk space on the engine's machine" if "no space left" in explanation else ""
    return ExecutorError(f"the Docker engine could not {what}: {shortened(explanation)}{hint}")


def _reason(what: str, error: Exception) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, _SLOW) for cause in causes):
        return f"the Docker engine at {address()} is there, but slow: it did not {what} in time"
    for cause in causes:
        if isinstance(cause, OSError) and (advice := _advice(cause)) is not None:
            return f"the Docker engine can't be reached: {advice}"
    if any(isinstance(cause, OSError | urllib3.exceptions.HTTPError) for cause in causes):
        return (
            f"the Docker engine at {address()} can't be reached ({what}): {shortened(str(error))}; "
            "check that it runs and that DOCKER_HOST is right"
        )
    return (
        f"what answers at {address()} can't be used as a Docker engine ({what}): "
        f"{type(error).__name__}: {shortened(str(error))}; check that DOCKER_HOST is right"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that it was raised for: requests and urllib3 keep these among its arguments."""
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        it = pending.pop()
        if id(it) not in seen:
            seen.add(id(it))
            yield it
            related = [*it.args, getattr(it, "reason", None), it.__cause__, it.__context__]
            pending += [other for other in related if isinstance(other, BaseException)]


def _advice(error: OSError) -> str | None:
    """What to do about a connection that could not be made; None where nothing better than its own words is known."""
    where = address()
    path = where.removeprefix(_UNIX) if where.startswith(_UNIX) else None
    if isinstance(error, socket.gaierror):
        return f"there is no host as in {where}; check DOCKER_HOST"
    if error.errno == errno.EACCES and path is not None:
        return f"this user may not use {path}; {_group_advice(path)}"
    if error.errno == errno.ENOENT:
        return f"there is no socket {where}; start Docker, or name its socket with DOCKER_HOST{_context_advice()}"
    if error.errno == errno.ECONNREFUSED:
        if path is not None and not _is_socket(path):
            return (
                f"{path} is no socket; Docker makes a folder where a volume's source is missing: "
                "mount the engine's socket there"
            )
        return f"nothing listens at {where}; start Docker, or check DOCKER_HOST{_context_advice()}"
    return None


def _group_advice(path: str) -> str:
    try:
        number = os.stat(path).st_gid
    except OSError:  # Nor may it look into the folder.
        return "join the group that may, or run this as root"
    try:
        name = f"{grp.getgrgid(number).gr_name} ({number})"
    except KeyError:
        name = str(number)
    return f"join its group {name}; a container gets it by `--group-add {number}`"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _context_advice() -> str:
    """Where the docker command has another engine, it works for people although it does not for us."""
    if os.environ.get("DOCKER_HOST"):
        return ""
    try:
        context = ContextAPI.get_current_context()
        name, host = str(context.name), str(context.Host)
    except Exception:  # noqa: BLE001 - a context that can't be read is no reason to say less
        return ""
    return "" if name == "default" else f" (the docker command uses the context {name!r}: DOCKER_HOST={host})"
