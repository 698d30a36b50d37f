"""Where the server listens, and what it takes from whom."""

from __future__ import annotations

import ipaddress
import re
import socket

from pydantic import Field, field_validator

from trio_exec.limits import MIB
from trio_exec.settings.fields import Group, Names, Seconds

_REPLICA = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_ORIGIN = re.compile(r"https?://[^/\s\"']+|(?!https?:)[a-z][a-z0-9+.-]*://[^/\s\"']*", re.IGNORECASE)
"""Apps have schemes of their own, such as tauri://localhost, and some no host, such as file://."""
_FRAME_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
"""As the header that browsers are told it by can hold it: names of other scripts in their ASCII form, and no IPv6."""
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name or an address; of IPv6, without brackets, as `Access` compares it."""


class ServerSettings(Group):
    """Where the server listens, and what it takes from whom."""

    heading = "The server: where it listens, and what it takes from whom"

    host: str = Field(default="127.0.0.1", description="address to listen on; beyond loopback, put a proxy in front")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    replica: str = Field(
        default="",
        description="short name of this server among several behind one name, with which its session ids begin; "
        "@hostname takes the machine's, @ordinal the number at its end",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="host names under which the server may be addressed, besides loopback and `host`; * for any",
    )
    allowed_origins: Names = Field(
        default=(),
        description="other origins whose pages may use the API, such as https://docs.example.org; * for any",
    )
    embed_origins: Names = Field(
        default=(),
        description="origins whose pages may show /embed in a frame, such as https://docs.example.org; * for any",
    )
    trusted_proxies: Names = Field(
        default=(), description="addresses or networks of reverse proxies whose X-Forwarded-* headers are believed"
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path below which a reverse proxy shows the server, such as /run; no slash at its end",
    )
    max_request_bytes: int = Field(default=MIB, ge=1024, le=64 * MIB, description="size of a request's body")
    keep_alive_timeout: Seconds = Field(
        default=5,
        description="seconds that a connection is kept for a next request; longer than a proxy in front keeps it",
    )
    max_connections: int = Field(
        default=1000, ge=1, le=1000000, description="connections at once; fewer if the limit of open files is lower"
    )
    max_connections_per_address: int = Field(
        default=250, ge=1, le=1000000, description="connections at once from one address, trusted proxies excepted"
    )

    @field_validator("replica")
    @classmethod
    def _name(cls, value: str) -> str:
        hostname = socket.gethostname().partition(".")[0].lower()
        match value:
            case "@hostname":
                name = hostname
            case "@ordinal":
                name = hostname.rpartition("-")[2]
                if not name.isdecimal():
                    raise ValueError(f"the hostname {hostname!r} has no number at its end, as in trio-exec-0")
            case _:
                name = value
        if name and not _REPLICA.fullmatch(name):
            raise ValueError(f"{name!r} can't be a name; take 1 to 32 small letters, digits, and - between them")
        return name

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin not in {"*", "null"} and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write scheme://host[:port] without a path, or null")
        return value

    @field_validator("embed_origins")
    @classmethod
    def _frame_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _FRAME_ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin; write http:// or https://, a name or an IPv4 address, and the port "
                    "if it has one, such as https://docs.example.org: no path, no wildcard, but * for any"
                )
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if host != "*" and not _HOST.fullmatch(host):
                raise ValueError(
                    f"{host!r} can never match; write the name alone, such as code.example.org: no scheme, port, "
                    "quotes or wildcard, but * for any"
                )
        return value

    @field_validator("host")
    @classmethod
    def _address(cls, value: str) -> str:
        if value == "*":
            raise ValueError("* is no address; write 0.0.0.0 for all of IPv4, or :: for all there are")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)  # Its ValueError says what is wrong.
        return value
