"""docker-py's low-level client, which agrees with the engine on a version of the API before the first call.

docker-py takes a fixed version, or asks when it is made, and never again. But a server may start before its engine,
and an engine may be upgraded under a running server: from Docker 29 on it refuses versions that older ones know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docker import APIClient
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.utils import kwargs_from_env

from trio_exec.errors import ExecutorUnavailableError

OLDEST = "1.41"
"""Of Docker 20.10: private cgroup namespaces, and waiting for a removal that is under way."""
NEWEST: str = DEFAULT_DOCKER_API_VERSION
"""That docker-py knows."""


class Client(APIClient):
    """A connection to the engine that the environment names (`DOCKER_HOST` and so on).

    Made without a call. `agree` comes before each one; as long as nothing has gone wrong, it does nothing.

    Args:
        timeout: seconds that one call may take.
        pool_size: connections kept open.
    """

    def __init__(self, timeout: int, pool_size: int) -> None:
        super().__init__(version=OLDEST, timeout=timeout, max_pool_size=pool_size, **kwargs_from_env())
        self.trust_env = False  # Proxies are for the builds. This is a connection to an engine, which none can pass on.
        self._agreed = False

    def agree(self) -> None:
        """Takes the newest version of the API that both ends know, unless there is one already.

        Raises:
            ExecutorUnavailableError: the engine is too old.
        """
        if not self._agreed:
            self._version = choose(self.version(api_version=False))
            self._agreed = True

    def _set_auth_headers(self, headers: dict[str, str]) -> None:
        """Sends no credentials with a build, which needs none.

        docker-py would ask all credential helpers of this user's for all that they know, and fail without them.
        """

    def forget(self) -> None:
        """Has the next call agree anew: what answers it may be another engine."""
        self._agreed = False


def choose(about: Mapping[str, Any]) -> str:
    """The version of the API to speak.

    Where an engine knows none that docker-py knows, it is the oldest that the engine does: what we use of the API has
    not changed in years.

    Args:
        about: the engine's answer to `docker version`.

    Raises:
        ExecutorUnavailableError: it is too old, or it is Podman.
    """
    if any(component.get("Name") == "Podman Engine" for component in about.get("Components") or ()):
        raise ExecutorUnavailableError(
            "this is Podman, which takes neither our seccomp profile nor the bound on a workspace's files; "
            f"Docker 20.10 (API {OLDEST}) or newer is needed"
        )
    newest: str = about["ApiVersion"]
    if _key(newest) < _key(OLDEST):
        raise ExecutorUnavailableError(
            f"the Docker engine is too old: its version is {about.get('Version', 'not known')} (API {newest}); "
            f"Docker 20.10 (API {OLDEST}) or newer is needed"
        )
    return max(min(newest, NEWEST, key=_key), about.get("MinAPIVersion") or OLDEST, key=_key)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
