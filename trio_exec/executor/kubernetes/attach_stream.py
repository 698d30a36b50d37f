"""A pod's attached streams over a WebSocket, as one byte stream.

Each message is binary and begins with a byte, the channel: 0 standard input, 1 standard output, 2 standard error, and
3 what went wrong, a Status object. So it is in `v4.channel.k8s.io`; version 5 adds a message that ends a channel, which
is not needed here: a launcher ends when its connection does (`stdinOnce`). See KEP-4006, "Transition from SPDY to
WebSockets".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlencode

import trio
import trio_websocket

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.executor.kubernetes.access import Access
from trio_exec.executor.kubernetes.errors import NotFoundError, NotYetError, refusal
from trio_exec.executor.kubernetes.labels import CONTAINER

SUBPROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
CONNECT_TIMEOUT = 10
PIECE = 32768
"""Bytes of input in one message."""
MESSAGE_MAX = 1 << 20
"""Bytes of output in one message; nodes send 32 KiB at the most."""
MESSAGES_AHEAD = 1
"""Messages that are read before anybody wants them; the rest waits in the socket, and slows the program down."""
_STDIN, _STDOUT, _STDERR, _STATUS = 0, 1, 2, 3
_SERVERS_FAULT = 500


class AttachStream(trio.abc.Stream):
    """A pod's standard input and output.

    Args:
        socket: the connection.
        complain: is called with what comes as standard error, or as the status of an attachment that failed.
        close: ends the connection, and never waits.
    """

    def __init__(
        self,
        socket: trio_websocket.WebSocketConnection,
        complain: Callable[[str], None],
        close: Callable[[], object],
    ) -> None:
        self._socket = socket
        self._complain = complain
        self._close = close
        self._ahead = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends to the pod's standard input.

        Raises:
            trio.BrokenResourceError: the connection is closed.
        """
        view = memoryview(data)
        try:
            for start in range(0, len(view), PIECE):
                await self._socket.send_message(bytes([_STDIN]) + view[start : start + PIECE])
        except trio_websocket.ConnectionClosed as error:
            raise trio.BrokenResourceError("the connection to the pod is closed") from error

    async def wait_send_all_might_not_block(self) -> None:
        """Returns at once."""
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What came next from the pod's standard output; nothing at its end."""
        while not self._ahead:
            try:
                message = await self._socket.get_message()
            except trio_websocket.ConnectionClosed:
                return b""
            if not isinstance(message, bytes) or len(message) <= 1:
                continue  # Each channel begins with an empty one.
            self._take(message[0], message[1:])
        data, self._ahead = self._ahead[:max_bytes], self._ahead[max_bytes:] if max_bytes is not None else b""
        return data

    def _take(self, channel: int, content: bytes) -> None:
        if channel == _STDOUT:
            self._ahead = content
        elif channel == _STDERR:
            self._complain(content.decode("utf-8", "replace").strip())
        elif channel == _STATUS and (told := _failure(content)):
            self._complain(told)

    async def aclose(self) -> None:
        """Ends the connection, without a farewell."""
        self._close()
        await trio.lowlevel.checkpoint()


def _failure(content: bytes) -> str:
    """What a Status object complains of; nothing where it is one of success."""
    try:
        status = json.loads(content)
        return "" if status["status"] == "Success" else str(status["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace").strip()


async def attach(
    nursery: trio.Nursery, access: Access, namespace: str, pod: str, complain: Callable[[str], None]
) -> AttachStream:
    """The streams of a pod's container.

    Args:
        nursery: has the connection's task until the connection is closed, at either end.
        access: the cluster.
        namespace: the pod's.
        pod: its name.
        complain: as in `AttachStream`.

    Raises:
        NotYetError: its container does not run yet, or no more.
        NotFoundError: there is no such pod.
        ExecutorUnavailableError: the API can't be reached.
        ExecutorError: it refuses; says why.
    """
    return await nursery.start(_carry, access, namespace, pod, complain)


async def _carry(
    access: Access,
    namespace: str,
    pod: str,
    complain: Callable[[str], None],
    *,
    task_status: trio.TaskStatus[AttachStream],
) -> None:
    query = urlencode({"container": CONTAINER, "stdin": "true", "stdout": "true", "stderr": "true"})
    path = f"{access.path}/api/v1/namespaces/{namespace}/pods/{pod}/attach?{query}"
    headers = [(name.encode(), value.encode()) for name, value in await access.headers()]
    stream = await _connect(access)
    try:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(CONNECT_TIMEOUT) as opening:
                socket = await trio_websocket.wrap_client_stream(
                    nursery,
                    stream,
                    f"{access.host}:{access.port}",
                    path,
                    subprotocols=SUBPROTOCOLS,
                    extra_headers=headers,
                    message_queue_size=MESSAGES_AHEAD,
                    max_message_size=MESSAGE_MAX,
                )
                scope = nursery.cancel_scope
                task_status.started(
                    AttachStream(socket, complain, lambda: scope.cancel(reason="the connection is not wanted any more"))
                )
            # The library's own task now reads as long as the connection lasts.
            if opening.cancelled_caught:
                nursery.cancel_scope.cancel(reason="it does not come")
        if opening.cancelled_caught:
            raise ExecutorUnavailableError(f"no connection to the pod was made within {CONNECT_TIMEOUT} seconds")
    except* trio_websocket.ConnectionRejected as group:
        raise _rejection(group) from group
    finally:
        await trio.aclose_forcefully(stream)


async def _connect(access: Access) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            tcp = await trio.open_tcp_stream(access.host, access.port)
            if access.tls is None:
                return tcp
            stream = trio.SSLStream(tcp, access.tls, server_hostname=access.host, https_compatible=True)
            async with AsyncExitStack() as unless_it_is_used:
                unless_it_is_used.push_async_callback(trio.aclose_forcefully, stream)
                await stream.do_handshake()
                unless_it_is_used.pop_all()
            return stream
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        words = str(error.__cause__ or error) or type(error).__name__
        raise ExecutorUnavailableError(f"the Kubernetes API can't be reached: {words}") from error


def _rejection(group: BaseExceptionGroup[trio_websocket.ConnectionRejected]) -> ExecutorError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, trio_websocket.ConnectionRejected)  # noqa: S101 - a group of this type holds nothing else
    headers = {name.decode().lower(): value.decode() for name, value in error.headers or ()}
    found = refusal("attaching to a pod", error.status_code, error.body or b"", headers)
    if isinstance(found, NotFoundError):
        return found
    if error.status_code >= _SERVERS_FAULT and "not found" in found.message:
        return NotYetError(found.message)
    return found
