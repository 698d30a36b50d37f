"""The part of Kubernetes' API that is needed for pods, over HTTP.

Answers are the API's objects as they come, parsed from JSON; `state` knows what they mean. Each call is told with its
name, its time and its error. Nothing is tried again here, but for a token that has been replaced.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import httpx2
import trio

from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.events import APICalled, Emit, ignore
from trio_exec.executor.kubernetes.access import Access
from trio_exec.executor.kubernetes.errors import refusal, status_error
from trio_exec.executor.kubernetes.objects import Object

TIMEOUT = 10
"""Seconds for a call, but for watches."""
CONNECTIONS = 64
"""To the API at once, at most; watches included, attached streams not."""
WATCH_SECONDS = 55
"""After which the API server ends a watch; so a connection that was cut is found out soon after."""
WATCH_GRACE = 10
"""Seconds more until we end it ourselves."""
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_OK_END = 300


class KubernetesAPI:
    """Pods of one namespace.

    Args:
        access: the cluster.
        namespace: whose pods.
        emit: reports each call that was answered.
    """

    def __init__(self, access: Access, namespace: str, emit: Emit = ignore) -> None:
        self.access = access
        self.namespace = namespace
        self._emit = emit
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._client = httpx2.AsyncClient(
            base_url=access.url,
            verify=access.tls or ssl.create_default_context(),
            timeout=TIMEOUT,
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            trust_env=False,  # The cluster is no matter for proxies.
        )

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Returns when the API has answered, to us.

        Raises:
            ExecutorUnavailableError: it can't be reached.
            ExecutorError: we may not list pods; says why.
        """
        await self._call("ping", "listing pods", "GET", f"{self._pods}?limit=1")

    async def create(self, pod: Object) -> Object:
        """Creates a pod.

        Raises:
            QuotaFullError: there is no room for it in the namespace's quota.
            ExecutorUnavailableError: the API can't be reached, or fails.
            ExecutorError: it refuses; says why.
        """
        return (await self._call("create", "creating a pod", "POST", self._pods, pod)).json()

    async def delete(self, name: str) -> None:
        """Has a pod deleted, which takes its node a moment; harmless if it is gone.

        Raises:
            ExecutorUnavailableError: the API can't be reached, or fails.
            ExecutorError: it refuses; says why.
        """
        await self._call("delete", "deleting a pod", "DELETE", f"{self._pods}/{name}", missing_is_fine=True)

    async def list(self, selector: str) -> tuple[list[Object], str, float]:
        """Pods by their labels, the version of the list, and what time it is there, in seconds since 1970.

        Raises:
            ExecutorUnavailableError: the API can't be reached, or fails.
            ExecutorError: it refuses; says why.
        """
        query = urlencode({"labelSelector": selector})
        answer = await self._call("list", "listing pods", "GET", f"{self._pods}?{query}")
        listed = answer.json()
        now = parsedate_to_datetime(answer.headers["date"]).timestamp()
        return listed["items"], listed["metadata"]["resourceVersion"], now

    async def watch(self, selector: str, version: str, hear: Callable[[str, Object], None]) -> None:
        """Tells of changes of pods by their labels, until `WATCH_SECONDS` are over or the API server has had enough.

        Args:
            selector: matches the labels.
            version: the one to go on from.
            hear: is called with each change's kind, and the pod. Kinds are ADDED, MODIFIED, DELETED and BOOKMARK,
                which has nothing but another version to go on from.

        Raises:
            ExpiredError: that version is too old; list again.
            ExecutorUnavailableError: the API can't be reached, or fails.
            ExecutorError: it refuses; says why.
        """
        query = urlencode(
            {
                "watch": "1",
                "labelSelector": selector,
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": WATCH_SECONDS,
            }
        )
        timeout = httpx2.Timeout(TIMEOUT, read=WATCH_SECONDS + WATCH_GRACE)
        with _translated():
            headers = await self.access.headers()
            url = f"{self._pods}?{query}"
            async with self._client.stream("GET", url, headers=headers, timeout=timeout) as answer:
                if answer.status_code >= _OK_END:
                    self._doubt_token(answer.status_code)
                    raise refusal("watching pods", answer.status_code, await answer.aread(), answer.headers)
                async for line in answer.aiter_lines():
                    change = json.loads(line)
                    if change["type"] == "ERROR":
                        raise status_error("watching pods", change["object"])
                    hear(change["type"], change["object"])

    def _doubt_token(self, status: int) -> None:
        if status == _UNAUTHORIZED and self.access.token is not None:
            self.access.token.forget()

    async def _call(
        self,
        name: str,
        what: str,
        method: str,
        url: str,
        body: Object | None = None,
        *,
        missing_is_fine: bool = False,
    ) -> httpx2.Response:
        """Makes a call; tells of it by its name, and of a refusal by what it was for."""
        start = trio.current_time()
        try:
            answer = await self._ask(method, url, body)
            if answer.status_code == _UNAUTHORIZED and self.access.token is not None:
                self._doubt_token(answer.status_code)
                answer = await self._ask(method, url, body)
            if answer.status_code >= _OK_END and not (missing_is_fine and answer.status_code == _NOT_FOUND):
                raise refusal(what, answer.status_code, answer.content, answer.headers)
        except ExecutorError as error:
            self._emit(APICalled(name, trio.current_time() - start, error.code))
            raise
        self._emit(APICalled(name, trio.current_time() - start, None))
        return answer

    async def _ask(self, method: str, url: str, body: Object | None) -> httpx2.Response:
        with _translated():
            return await self._client.request(method, url, json=body, headers=await self.access.headers())


@contextmanager
def _translated() -> Generator[None]:
    """Turns the HTTP library's errors, and what no Kubernetes API answers, into ours."""
    try:
        yield
    except httpx2.HTTPError as error:
        words = str(error) or type(error).__name__
        raise ExecutorUnavailableError(f"the Kubernetes API can't be reached: {words}") from error
    except (ValueError, KeyError) as error:
        raise ExecutorUnavailableError(f"what answers is no Kubernetes API: {error!r}") from error
