"""A client that wants the server to fall, as a process of its own: python -m tests.hostile PORT SECONDS [KIND …]."""

from __future__ import annotations

import contextlib
import json
import sys
import zlib
from collections.abc import Awaitable, Callable

import trio

MIB = 1024 * 1024
JSON = "Content-Type: application/json\r\n"
MASK = b"\0\0\0\0"


class Hostile:
    """What it does; each method goes on until it is cancelled, and stops at no failure."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def _connect(self, window: int | None = None) -> trio.SocketStream:
        socket = trio.socket.socket()
        if window is not None:
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, window)
        await socket.connect(("127.0.0.1", self._port))
        return trio.SocketStream(socket)

    def _request(
        self, method: str, path: str, headers: str = "", body: bytes = b"", length: int | None = None
    ) -> bytes:
        size = len(body) if length is None else length
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{headers}\r\n"
        return head.encode() + body

    async def _ask(self, request: bytes) -> bytes:
        async with await self._connect() as stream:
            await stream.send_all(request)
            answer = b""
            while b"}" not in answer and (data := await stream.receive_some(65536)):
                answer += data
            return answer.partition(b"\r\n\r\n")[2]

    async def _session(self, **more: object) -> str:
        body = {"language": "python", "code": "input()", **more}
        while True:
            with contextlib.suppress(ValueError, KeyError, trio.BrokenResourceError):
                answer = await self._ask(self._request("POST", "/session", JSON, json.dumps(body).encode()))
                return json.loads(answer)["sessionId"]
            await trio.sleep(0.2)

    @contextlib.asynccontextmanager
    async def _attached(self, session_id: str, headers: str = "", window: int | None = None):
        async with await self._connect(window) as stream:
            upgrade = (
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}"
            )
            await stream.send_all(f"GET /ws/session/{session_id} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n".encode())
            await stream.receive_some(200)
            yield stream

    async def _frames(self, first: bytes, rest: bytes, headers: str = "") -> None:
        session_id = await self._session()
        while True:
            with contextlib.suppress(trio.BrokenResourceError):
                async with self._attached(session_id, headers) as stream:
                    await stream.send_all(first)
                    while True:
                        await stream.send_all(rest)

    async def huge_frames(self) -> None:
        await self._frames(b"\x81\xff" + (2**40).to_bytes(8, "big") + MASK, b"x" * MIB)

    async def large_messages(self) -> None:
        head = b"\xff" + (1_000_000).to_bytes(8, "big") + MASK
        await self._frames(b"", b"\x81" + head + b"x" * 1_000_000)

    async def little_fragments(self) -> None:
        await self._frames(b"\x01\x81" + MASK + b"x", (b"\x00\x81" + MASK + b"x") * 10000)

    async def pings(self) -> None:
        await self._frames(b"", (b"\x89\xfd" + MASK + b"x" * 125) * 1000)

    async def compressed_frames(self) -> None:
        packer = zlib.compressobj(9, wbits=-15)
        bomb = packer.compress(b"x" * 50 * MIB) + packer.flush(zlib.Z_SYNC_FLUSH)
        head = b"\xc1\xfe" + len(bomb).to_bytes(2, "big") + MASK
        await self._frames(b"", head + bomb, "Sec-WebSocket-Extensions: permessage-deflate\r\n")

    async def programs(self) -> None:
        body = json.dumps({"language": "python", "code": "#" * 500_000, "stdin": "x" * 500_000}).encode()
        post = self._request("POST", "/session", JSON, body)
        while True:
            with contextlib.suppress(ValueError, KeyError, trio.BrokenResourceError):
                session_id = json.loads(await self._ask(post))["sessionId"]
                await self._ask(self._request("DELETE", f"/session/{session_id}"))

    async def half_bodies(self) -> None:
        body = self._request("POST", "/session", JSON, b"x" * 1_000_000, MIB)
        await self._hold(100, body)

    async def idle_connections(self) -> None:
        await self._hold(1000, b"")

    async def _hold(self, count: int, first: bytes) -> None:
        async with contextlib.AsyncExitStack() as stack:
            while True:
                with contextlib.suppress(trio.BrokenResourceError):
                    for _ in range(count):
                        stream = await stack.enter_async_context(await self._connect())
                        await stream.send_all(first)
                await trio.sleep(1)
                await stack.aclose()

    async def those_that_do_not_read(self) -> None:
        session_id = await self._session(code="for _ in range(1000): print('x' * 999)", stdin="")
        page = self._request("GET", "/languages") * 100
        while True:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(30):
                    with contextlib.suppress(trio.BrokenResourceError):
                        stream = await stack.enter_async_context(await self._connect(1024))
                        await stream.send_all(page)
                        await stack.enter_async_context(self._attached(session_id, window=1024))
                await trio.sleep(5)

    async def names_of_variables(self) -> None:
        names = ",".join(f'"-{number}":1' for number in range(74_000))
        body = f'{{"language":"python","code":"","env":{{{names}}}}}'.encode()
        while True:
            with contextlib.suppress(trio.BrokenResourceError):
                await self._ask(self._request("POST", "/session", JSON, body))


KINDS: dict[str, Callable[[Hostile], Awaitable[None]]] = {
    name: method for name, method in vars(Hostile).items() if not name.startswith("_")
}


async def main(port: int, seconds: float, names: list[str]) -> None:
    """Does all of it at once, each twice."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for name in names or KINDS:
                for _ in range(2):
                    nursery.start_soon(KINDS[name], Hostile(port))


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
