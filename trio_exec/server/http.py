"""HTTP/1.1 and nothing else: what hypercorn's protocol does, but for what it leaves to chance.

Seen in hypercorn 0.18, each pinned by a test:

- HTTP/2 without TLS is spoken to whoever asks for it, by `PRI * HTTP/2.0` or by `Upgrade: h2c`. Nobody needs it, and
  its streams go past every bound that we have on connections. Here the first is refused and the second ignored.
- A request that is answered before all of it has come leaves a connection that can't be used again, without a word of
  that. Here such an answer says `Connection: close`, so that no proxy sends its next request to it.
- `Expect: 100-continue` gets its 100 at once, also for a request that is then refused. Here the application's first
  look at the body does that.
- A target such as `http://[/x` or `?x` raises where nobody catches it. Here it is understood, or gets 400.
- Errors of the protocol have empty bodies. Here they have the API's form.
- What comes behind a request that says `Connection: close` is taken for an error, which gets 400 in the place of the
  answer, unless the answer was quicker. Here nobody looks at it.
"""

from __future__ import annotations

from typing import cast

import h11
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as ConnectionEvent
from hypercorn.protocol.events import Body, EndBody, Event, InformationalResponse, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ASGISendEvent

from trio_exec.api.arrivals import CONTINUE
from trio_exec.api.native.parts import ErrorBody

_CONTINUE_STATUS = 100
_RETRY_AFTER = 5
_HINTS = {
    400: ("bad_request", "this is not a request that HTTP/1.1 knows"),
    501: ("not_implemented", "this server takes bodies with a length, or chunked, and no other transfer encoding"),
    431: ("headers_too_large", "the request's headers are too large; 16 KiB are taken at most"),
    505: ("version_not_supported", "this server speaks HTTP/1.1"),
}


def origin_form(target: bytes) -> bytes | None:
    """What a request is for, without the scheme and host that may stand before it; None if it is no path at all."""
    if target.startswith(b"/"):
        return target
    _, colon, rest = target.partition(b"://")
    if not colon or b"?" in target[: -len(rest)]:
        return None
    _, _, path = rest.partition(b"/")
    return b"/" + path


class HTTP11(H11Protocol):
    """The protocol of one connection."""

    @property
    def has_whole_request(self) -> bool:
        """Whether a request is being answered of which nothing is missing."""
        return self.connection.their_state in {h11.DONE, h11.MUST_CLOSE}

    @property
    def has_part_of_request(self) -> bool:
        """Whether something has come that is no whole request yet."""
        return bool(self.connection.trailing_data[0])

    @property
    def _is_last_request(self) -> bool:
        """Whether a request is there, as a whole, that its client has said to be the last one."""
        return isinstance(self.connection, h11.Connection) and self.connection.their_state is h11.MUST_CLOSE

    async def handle(self, event: ConnectionEvent) -> None:
        """Takes what has arrived."""
        if isinstance(event, RawData) and self._is_last_request:
            return
        await super().handle(event)

    async def stream_send(self, event: Event) -> None:
        """Sends what a stream wants to be sent."""
        if isinstance(event, InformationalResponse):
            if event.status_code == _CONTINUE_STATUS and self.connection.they_are_waiting_for_100_continue:
                await self._send_h11_event(h11.InformationalResponse(status_code=_CONTINUE_STATUS, headers=[]))
            return
        if isinstance(event, Response) and self._is_early():
            headers = [*event.headers, (b"connection", b"close")]
            event = Response(stream_id=event.stream_id, headers=headers, status_code=event.status_code)
        await super().stream_send(event)

    def _is_early(self) -> bool:
        return self.connection.their_state in {h11.SEND_BODY, h11.ERROR}

    async def _handle_events(self) -> None:
        # As the original, but for the 100 that it sends of its own accord, and for the version.
        while not self._is_last_request:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                if self.connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await self._send_error_response(error.error_status_hint)
                await self.send(Closed())
                return
            if isinstance(event, h11.Request):
                await self.send(Updated(idle=False))
                if event.http_version not in {b"1.0", b"1.1"}:
                    await self._send_error_response(505)
                    await self.send(Closed())
                    return
                # `OPTIONS *` asks about the server as a whole; the page stands for it.
                path = b"/" if (event.method, event.target) == (b"OPTIONS", b"*") else origin_form(event.target)
                if path is None:
                    await self._send_error_response(400)
                    await self.send(Closed())
                    return
                if path != event.target:
                    event = h11.Request(
                        method=event.method, target=path, headers=event.headers, http_version=event.http_version
                    )
                await self._create_stream(event)
            elif event is h11.PAUSED:
                await self.can_read.clear()
                await self.can_read.wait()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.NEED_DATA or self.stream is None:
                return
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
            else:  # A WebSocket's data, passed through.
                await self.stream.handle(cast("Event", event))

    async def _send_error_response(self, status_code: int) -> None:
        code, text = _HINTS.get(status_code, _HINTS[400])
        body = ErrorBody(error=text, code=code).to_json().encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def too_many_connections(text: str) -> bytes:
    """The answer to a connection that can't be let in, whatever it wants to ask."""
    body = ErrorBody(error=f"{text}; try again in a few seconds", code="too_many_connections").to_json()
    return (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Retry-After: {_RETRY_AFTER}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class HTTPExchange(HTTPStream):
    """One request and its answer."""

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Takes what the application sends."""
        if message is not None and cast("str", message["type"]) == CONTINUE:
            if not self.closed:
                await self.send(InformationalResponse(self.stream_id, headers=[], status_code=_CONTINUE_STATUS))
            return
        await super().app_send(message)
