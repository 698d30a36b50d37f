"""Compresses answers that are text, large, and the same for many: what lists the languages, what describes the API."""

from __future__ import annotations

import gzip
from functools import lru_cache

from quart import Response, request

_LEVEL = 6
_KEPT = 8
"""How many compressed forms are kept: there are a few descriptions, and lists that differ by who asks."""


@lru_cache(_KEPT)
def _compress(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


def compressed(body: bytes, content_type: str) -> Response:
    """An answer to the request at hand, with this body, as gzip where the client likes that.

    Nothing of the request may be in the body: by a compressed answer's length, who can have requests made could then
    guess what else is in it.
    """
    if request.accept_encodings.quality("gzip") > 0:
        response = Response(_compress(body), content_type=content_type)
        response.content_encoding = "gzip"
    else:
        response = Response(body, content_type=content_type)
    response.vary.add("Accept-Encoding")
    return response
