"""Who may use the server, and how much of it one of them."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from trio_exec.settings.fields import Group, sizes


class AccessSettings(Group):
    """Who may use the server, and how much of it each of them."""

    heading = "Access: who may use the server, and how much of it each of them"

    auth: Literal["none", "keys", "proxy"] | None = Field(
        default=None,
        description="who may use the API: anybody (none), who has a key (keys), whom a trusted proxy names (proxy); "
        "default: keys if there is a `keys_file`, else anybody, as long as only this machine can reach the server",
    )
    keys_file: Path | None = Field(default=None, description="file with API keys; `trio-exec keys create` makes it")
    auth_header: str = Field(
        default="X-Forwarded-User",
        pattern=r"^[A-Za-z0-9-]+$",
        description="header in which trusted proxies name the user, with auth = proxy",
    )
    owner_max_sessions: int | None = Field(
        default=None,
        ge=1,
        le=10000,
        description="sessions that one owner may run at once, more wait; default: half of max_sessions",
    )
    owner_max_queued: int | None = Field(
        default=None, ge=0, le=100000, description="sessions of one owner that may wait; default: half of max_queue"
    )
    owner_starts_per_minute: float = Field(
        default=60,
        gt=0,
        le=1000000,
        allow_inf_nan=False,
        description="sessions that one owner may start in a minute, so many at once after one without any",
    )
    owner_max_retained_bytes: int | None = Field(
        default=None,
        ge=1024,
        description="bytes that the server holds for one owner's sessions; default: half of max_retained_bytes",
    )
    shared_addresses: Annotated[dict[str, Annotated[int, Field(ge=1, le=100000)]], NoDecode] = Field(
        default={},
        description="addresses or networks that many people share, and how many, such as 198.51.100.7=100: without "
        "keys, each may have so many times what one owner may",
    )

    @field_validator("shared_addresses", mode="before")
    @classmethod
    def _people(cls, value: object) -> object:
        return sizes(value, "address=people; write 198.51.100.7=100,203.0.113.0/24=30")

    @field_validator("shared_addresses")
    @classmethod
    def _shared_networks(cls, value: dict[str, int]) -> dict[str, int]:
        for network in value:
            ipaddress.ip_network(network)  # Its ValueError says what is wrong.
        return value
