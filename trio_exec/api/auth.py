"""Who asks: the owner of a key, whom a trusted proxy names, or a client's address; and what they may take.

A session's id is a capability of its own: whoever has it may read, type and stop, without a key. So a program that
holds a key can start sessions and hand them to browsers, which need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from werkzeug.datastructures import Headers

from trio_exec.addresses import Networks, holder_of, parse_address
from trio_exec.api.proxies import UNKNOWN_PROXY
from trio_exec.errors import ForbiddenError, RequestError, UnauthorizedError
from trio_exec.keys import Key, Keys
from trio_exec.model import Owner, Quota, Requester
from trio_exec.settings import APISettings

SUBPROTOCOL = "trio-exec"
"""What clients may offer when they open a WebSocket. None need be."""
KEY_SUBPROTOCOL = "trio-exec.key."
"""What comes before a key that is offered besides: browsers can set no header of a WebSocket."""
KEY_HEADER = "X-API-Key"
NO_QUEUE_HEADER = "X-No-Queue"
"""With any value, the request would rather be refused than made to wait: another server may have a slot free."""
_USER = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_HOW = (
    "send it as `Authorization: Bearer KEY`, as `X-API-Key: KEY`, or, with a browser's WebSocket, as the subprotocol "
    "`trio-exec.key.KEY` beside `trio-exec`"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        requester: as the engine knows them.
        operator: whether they may see what only operators should.
    """

    requester: Requester
    operator: bool


class Authentication:
    """Tells who asks, by the setting `auth`.

    Args:
        settings: who may ask, and what one of them may take.
        keys: those that count now.

    Raises:
        ConfigurationError: the settings don't say who may ask, and it would be anybody.
    """

    def __init__(self, settings: APISettings, keys: Keys) -> None:
        self._keys = keys
        self._identify = self._ways(settings)

    def apply(self, settings: APISettings) -> None:
        """Goes on by other settings.

        Raises:
            ConfigurationError: as above; nothing has changed then.
        """
        self._identify = self._ways(settings)

    def _ways(self, settings: APISettings) -> Callable[[Headers, str], Identity]:
        match settings.auth_mode:
            case "keys":
                return partial(_by_key, self._keys, settings.owner_quota)
            case "proxy":
                return partial(_by_proxy, settings.auth_header, settings.owner_quota)
            case "none":
                return _ByAddress(settings.shared_addresses, settings.owner_quota)

    def identify(self, headers: Headers, address: str) -> Identity:
        """Who makes a request.

        Args:
            headers: the request's, as trusted proxies have left them.
            address: the client's; empty if it has none.

        Raises:
            UnauthorizedError: nobody knows.
            RequestError: the headers name two keys.
        """
        identity = self._identify(headers, address)
        requester = replace(
            identity.requester,
            address=address,
            request_id=headers.get("X-Request-ID", ""),
            may_wait=not headers.get(NO_QUEUE_HEADER),
            trace_parent=headers.get("traceparent", ""),
        )
        return replace(identity, requester=requester)


def _by_key(keys: Keys, usual: Quota, headers: Headers, _: str) -> Identity:
    secret = _key_in(headers)
    if secret is None:
        raise UnauthorizedError(f"this server needs an API key; {_HOW}")
    found = keys.find(secret)
    if found is None:
        raise UnauthorizedError("this API key is not known here, or was revoked; ask whoever runs this server for one")
    owner, key = found
    return Identity(_requester(owner, key, usual), key.operator)


def _requester(owner: Owner, key: Key, usual: Quota) -> Requester:
    return Requester(owner, quota=key.quota(usual), limits=key.limits.given, languages=key.languages)


def _key_in(headers: Headers) -> str | None:
    """The key that a request comes with."""
    given: set[str] = set()
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        given.add(credentials.strip())
    if (plain := headers.get(KEY_HEADER, "").strip()) != "":
        given.add(plain)
    given.update(name.removeprefix(KEY_SUBPROTOCOL) for name in offered(headers) if name.startswith(KEY_SUBPROTOCOL))
    if len(given) > 1:
        raise RequestError(f"the request comes with {len(given)} API keys; send one")
    return next(iter(given), None)


def offered(headers: Headers) -> Sequence[str]:
    """The subprotocols that a WebSocket's client offers."""
    return [name.strip() for name in headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]


def subprotocol(headers: Headers) -> str | None:
    """The one to answer: clients that offer some give up where none is chosen, and ours is the same in all of them.

    Raises:
        RequestError: only a key is offered, which would have to be repeated.
    """
    names = offered(headers)
    harmless = [name for name in names if not name.startswith(KEY_SUBPROTOCOL)]
    if names and not harmless:
        raise RequestError(f"offer the subprotocol {SUBPROTOCOL!r} besides the one with the key")
    return SUBPROTOCOL if SUBPROTOCOL in harmless else next(iter(harmless), None)


def _by_proxy(header: str, quota: Quota, headers: Headers, _: str) -> Identity:
    user = headers.get(header, "")
    if not _USER.fullmatch(user):
        raise UnauthorizedError(
            f"this server is told by a proxy who asks, and was not: {header} is missing or can't be a name; come "
            "through the proxy. Operators: it must be one of trusted_proxies, and set that header"
        )
    return Identity(Requester(Owner(user), quota=quota), operator=False)


class _ByAddress:
    """Anybody may ask; whoever has an address counts as one. Who asks on the machine itself has no quota.

    Who seems to come through a proxy there that is not trusted does not: it may be anybody.

    Args:
        shared: addresses and networks that many people have, with how many.
        quota: what one owner may take.
    """

    def __init__(self, shared: dict[str, int], quota: Quota) -> None:
        self._shared = [(Networks([network]), people) for network, people in shared.items()]
        self._quota = quota

    def __call__(self, headers: Headers, address: str) -> Identity:
        try:
            parsed = parse_address(address)
        except ValueError:
            return Identity(Requester(Owner("unknown"), quota=self._quota), operator=True)
        quota = Quota() if parsed.is_loopback and UNKNOWN_PROXY not in headers else self._quota
        people = next((people for networks, people in self._shared if parsed in networks), 1)
        return Identity(Requester(Owner(holder_of(parsed)), quota=_times(quota, people)), operator=True)


def _times(quota: Quota, people: int) -> Quota:
    """What so many people may take together."""

    def times(value: int | None) -> int | None:
        return None if value is None else value * people

    rate = quota.starts_per_minute
    return Quota(
        max_sessions=times(quota.max_sessions),
        max_queued=times(quota.max_queued),
        starts_per_minute=None if rate is None else rate * people,
        max_retained_bytes=times(quota.max_retained_bytes),
    )


def check_operator(identity: Identity) -> None:
    """Returns if somebody may see what only operators should.

    Raises:
        ForbiddenError: they may not.
    """
    if not identity.operator:
        raise ForbiddenError(
            "only operators may see this: make a key with `trio-exec keys create NAME --operator`, or set metrics_port"
        )
