"""Serves the API's descriptions for machines, at `/openapi.json` and `/asyncapi.json`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pydantic_core import to_json
from quart import Response
from quart_trio import QuartTrio

from trio_exec.api.asyncapi import asyncapi
from trio_exec.api.compression import compressed
from trio_exec.api.openapi import openapi
from trio_exec.api.routes import JSON, Route, Socket


class Descriptions:
    """Made when they are first asked for: it takes a tenth of a second.

    Args:
        routes: of the API.
        sockets: likewise.
    """

    def __init__(self, routes: Sequence[Route], sockets: Sequence[Socket]) -> None:
        self._routes = routes
        self._sockets = sockets

    def add_to(self, app: QuartTrio) -> None:
        """Adds their paths to an application."""
        app.add_url_rule("/openapi.json", "openapi", self._show_openapi, methods=["GET"])
        app.add_url_rule("/asyncapi.json", "asyncapi", self._show_asyncapi, methods=["GET"])

    async def _show_openapi(self) -> Response:
        return compressed(self.openapi, JSON)

    async def _show_asyncapi(self) -> Response:
        return compressed(self.asyncapi, JSON)

    @cached_property
    def openapi(self) -> bytes:
        """OpenAPI, as JSON."""
        return to_json(openapi(self._routes))

    @cached_property
    def asyncapi(self) -> bytes:
        """AsyncAPI, as JSON."""
        return to_json(asyncapi(self._sockets))
