"""Where a cluster's API is, and how to be let in: from within a pod by its service account, elsewhere by a kubeconfig.

Within a pod, the token is a file that the kubelet replaces before it expires, so it is read again now and then. See
"Accessing the Kubernetes API from a Pod" and "Organizing Cluster Access Using kubeconfig Files" in Kubernetes' docs.
"""

from __future__ import annotations

import base64
import binascii
import math
import os
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import trio
import yaml

from trio_exec.errors import ConfigurationError, ExecutorUnavailableError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where pods have their token, the authority's certificate and their namespace."""
TOKEN_AGE = 60
"""Seconds after which a token's file is read again; a kubelet replaces it when a fifth of its hour is left."""


class Token:
    """A bearer token, from a file that may change.

    Args:
        file: has it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._text = ""
        self._read_at = -math.inf

    async def __call__(self) -> str:
        """The token, no older than `TOKEN_AGE`.

        Raises:
            ExecutorUnavailableError: there is none.
        """
        now = trio.current_time()
        if now > self._read_at + TOKEN_AGE:
            try:
                self._text = (await trio.Path(self._file).read_text(encoding="ascii")).strip()
            except (OSError, UnicodeError) as error:
                raise ExecutorUnavailableError(f"the service account's token can't be read: {error}") from error
            self._read_at = now
        return self._text

    def forget(self) -> None:
        """Has it read anew: it is not accepted any more."""
        self._read_at = -math.inf


class FixedToken(Token):
    """A bearer token that stays.

    Args:
        text: the token.
    """

    def __init__(self, text: str) -> None:
        super().__init__(Path())
        self._text = text
        self._read_at = math.inf

    def forget(self) -> None:
        """There is no other."""


class Access:
    """A cluster's API, and who we are there.

    Args:
        url: of the API, such as https://10.96.0.1:443.
        tls: whom to trust, and our own certificate if we have one; None for plain HTTP.
        token: our token, if we have one.

    Raises:
        ConfigurationError: the URL is none.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None, token: Token | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"{url!r} is no URL of a Kubernetes API; it looks like https://10.96.0.1:443")
        self.url = url.rstrip("/")
        self.path = parts.path.rstrip("/")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.tls = tls if parts.scheme == "https" else None
        self.token = token

    async def headers(self) -> list[tuple[str, str]]:
        """What says who we are.

        Raises:
            ExecutorUnavailableError: the token can't be read.
        """
        return [] if self.token is None else [("Authorization", f"Bearer {await self.token()}")]


def find_access() -> Access:
    """The cluster that this process is in, or that the environment names with KUBECONFIG.

    Raises:
        ConfigurationError: there is neither, or it can't be used; says why.
    """
    if path := os.environ.get("KUBECONFIG"):
        return from_kubeconfig(Path(path))
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigurationError(
            "executor is kubernetes, and there is no cluster: this process is in no pod (KUBERNETES_SERVICE_HOST is "
            "not set); elsewhere, set KUBECONFIG to the path of a kubeconfig file"
        )
    return from_service_account(f"https://{f'[{host}]' if ':' in host else host}:{port}")


def from_service_account(url: str, directory: Path = SERVICE_ACCOUNT) -> Access:
    """A pod's own access.

    Args:
        url: of the API.
        directory: where the kubelet puts the service account's files.

    Raises:
        ConfigurationError: the pod has no service account's files.
    """
    try:
        tls = ssl.create_default_context(cafile=directory / "ca.crt")
    except OSError as error:
        raise ConfigurationError(
            f"{directory}/ca.crt can't be read ({error.strerror}): the pod needs its service account's token; see "
            "automountServiceAccountToken"
        ) from error
    return Access(url, tls, Token(directory / "token"))


def from_kubeconfig(path: Path) -> Access:
    """What a kubeconfig file says of its current context.

    Raises:
        ConfigurationError: it can't be read, or names no user that can be used here; says why.
    """
    try:
        loaded: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        config = _Entry(cast("Mapping[str, Any]", loaded) if isinstance(loaded, dict) else {}, path)
        context = config.named("contexts", "context", config.text("current-context"))
        cluster = config.named("clusters", "cluster", context.text("cluster"))
        user = config.named("users", "user", context.text("user"))
        return Access(cluster.text("server"), _tls(cluster, user), _token(user))
    except (OSError, yaml.YAMLError, binascii.Error, ssl.SSLError, UnicodeError) as error:
        raise ConfigurationError(f"the kubeconfig file {path} can't be used: {error}") from error


class _Entry:
    """A mapping in a kubeconfig file; relative paths in it are relative to the file."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        self._content = content
        self._path = path

    def get(self, name: str) -> object:
        return self._content.get(name)

    def text(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"the kubeconfig file {self._path} has no {name}")
        return value

    def named(self, plural: str, singular: str, name: str) -> _Entry:
        """The entry of that name in a list, such as the context of the name in contexts."""
        entries = self.get(plural)
        for entry in cast("list[dict[str, Any]]", entries if isinstance(entries, list) else []):
            if entry.get("name") == name:
                return _Entry(entry.get(singular) or {}, self._path)
        raise ConfigurationError(f"the kubeconfig file {self._path} has no {singular} {name!r}")

    def file(self, name: str) -> Path | None:
        value = self.get(name)
        return self._path.parent / value if isinstance(value, str) and value else None

    def data(self, name: str) -> bytes | None:
        """What is in the file, or in the entry itself under the name with "-data"."""
        value = self.get(f"{name}-data")
        if isinstance(value, str) and value:
            return base64.b64decode(value, validate=True)
        path = self.file(name)
        return None if path is None else path.read_bytes()


def _tls(cluster: _Entry, user: _Entry) -> ssl.SSLContext:
    authority = cluster.data("certificate-authority")
    tls = ssl.create_default_context(cadata=None if authority is None else authority.decode("ascii"))
    if cluster.get("insecure-skip-tls-verify"):
        raise ConfigurationError("insecure-skip-tls-verify: name the certificate-authority instead")
    certificate, key = user.data("client-certificate"), user.data("client-key")
    if certificate is not None and key is not None:
        # The library takes files only; nobody else can read this one, and it is gone at once.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name)
    return tls


def _token(user: _Entry) -> Token | None:
    token, file = user.get("token"), user.file("tokenFile")
    if isinstance(token, str) and token:
        return FixedToken(token)
    if file is not None:
        return Token(file)
    for name in ("exec", "auth-provider", "username"):
        if user.get(name) is not None:
            raise ConfigurationError(
                f"the kubeconfig's user has {name}, which can't be used here; give it a token, a tokenFile or a "
                "client-certificate, such as those of a service account"
            )
    return None
