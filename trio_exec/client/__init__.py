"""The client library: runs programs on a trio-exec server, and talks with them. For Trio.

    async with connect("http://127.0.0.1:8080") as client:
        result = await client.run("python", "print(6 * 7)")
        print(result.stdout)

docs/client.md has more; `trio_exec.client.sync` is the same for programs without Trio.
"""

from trio_exec.client.batches import BatchStream
from trio_exec.client.client import Client, connect
from trio_exec.client.errors import (
    ClientError,
    ConnectError,
    ConnectionLostError,
    ExpectError,
    ExpectTimeoutError,
    FormatError,
    InputClosedError,
    InvalidRequestError,
    LanguageUnavailableError,
    NotAllowedError,
    ProgramEndedError,
    ProgramFailedError,
    ProtocolError,
    QueueFullError,
    QuotaExceededError,
    ServerError,
    SessionNotFoundError,
    UnavailableError,
    UnknownLanguageError,
    WrongStateError,
)
from trio_exec.client.events import (
    Activity,
    Event,
    FileInfo,
    Idle,
    InputWait,
    MessageRefused,
    OmittedFile,
    Output,
    Stage,
    StateChanged,
    Watchers,
)
from trio_exec.client.expect import WAITING_FOR_INPUT, Match
from trio_exec.client.offers import Language, Languages, Readiness
from trio_exec.client.requests import Content, Limits, Run
from trio_exec.client.results import Batch, Case, File, Formatted, Result
from trio_exec.client.session import Session

__all__ = [
    "WAITING_FOR_INPUT",
    "Activity",
    "Batch",
    "BatchStream",
    "Case",
    "Client",
    "ClientError",
    "ConnectError",
    "ConnectionLostError",
    "Content",
    "Event",
    "ExpectError",
    "ExpectTimeoutError",
    "File",
    "FileInfo",
    "FormatError",
    "Formatted",
    "Idle",
    "InputClosedError",
    "InputWait",
    "InvalidRequestError",
    "Language",
    "LanguageUnavailableError",
    "Languages",
    "Limits",
    "Match",
    "MessageRefused",
    "NotAllowedError",
    "OmittedFile",
    "Output",
    "ProgramEndedError",
    "ProgramFailedError",
    "ProtocolError",
    "QueueFullError",
    "QuotaExceededError",
    "Readiness",
    "Result",
    "Run",
    "ServerError",
    "Session",
    "SessionNotFoundError",
    "Stage",
    "StateChanged",
    "UnavailableError",
    "UnknownLanguageError",
    "Watchers",
    "WrongStateError",
    "connect",
]
