"""Requests' bodies: JSON, declared as such."""

from __future__ import annotations

from quart import request
from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from trio_exec.api.routes import JSON
from trio_exec.errors import RequestError

_UTF_8 = {"utf-8", "utf8", "us-ascii"}


class MediaTypeError(RequestError):
    """Not declared as JSON. A page on another origin can't send that type unasked: this is a lock, too."""

    code = "unsupported_media_type"
    status = 415


class ContentCodingError(MediaTypeError):
    """A compressed body. What it would take is not known before it is too late."""


async def read_body() -> bytes:
    """The body of the request that is handled.

    Raises:
        MediaTypeError: it is not declared as what we read.
    """
    _check_content(request.headers)
    return await request.get_data(cache=False, as_text=False, parse_form_data=False)


def _check_content(headers: Headers) -> None:
    media_type, parameters = parse_options_header(headers.get("Content-Type"))
    if media_type != JSON:
        raise MediaTypeError(
            f"content-type: send the request as JSON, with the header `content-type: {JSON}`", field="content-type"
        )
    if parameters.get("charset", "utf-8").lower() not in _UTF_8:
        raise MediaTypeError("content-type: JSON is taken as UTF-8 only", field="content-type")
    if headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise ContentCodingError(
            "content-encoding: bodies are taken as they are, not compressed", field="content-encoding"
        )
