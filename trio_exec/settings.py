"""Every setting of the server, in one place.

Each comes from its environment variable `TRIO_EXEC_<NAME>`, else from the TOML file that `TRIO_EXEC_CONFIG` or
`--config` names, else from the default here. pydantic-settings reads and validates them. Zero and
negative limits are rejected.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from trio_exec.defaults import default_compiles, default_pool
from trio_exec.errors import ConfigurationError
from trio_exec.limits import MIB, Limits
from trio_exec.variables import no_such, of_kubernetes, reject_unknown

PREFIX = "TRIO_EXEC_"
_CONFIG_VARIABLE = f"{PREFIX}CONFIG"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


_ORIGIN = re.compile(r"https?://[^/\s\"']+|(?!https?:)[a-z][a-z0-9+.-]*://[^/\s\"']*", re.IGNORECASE)
"""Apps have schemes of their own, such as tauri://localhost, and some no host, such as file://."""
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name or an address; of IPv6, without brackets, as `Access` compares it."""

_SERVICE_NAME = re.compile(
    r"_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$", re.IGNORECASE
)
_SERVICE_VALUE = re.compile(r"(tcp|udp|sctp)://")

Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list; in the environment, separated by commas."""


MAX_UID = 65535
"""The last one that an engine with user namespaces can map by default."""
UIDS_TO_SPARE = 100
"""For containers that are still being removed, which the engine may take its time for."""


class _Group(BaseModel):
    """Settings that are needed together. Whoever needs no others takes the group, and not all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heading: ClassVar[str]
    """What `trio-exec config` writes above them."""


class ServerSettings(_Group):
    """Where the server listens, and what it takes from whom."""

    heading = "The server: where it listens, and what it takes from whom"

    host: str = Field(default="127.0.0.1", description="address to listen on; beyond loopback, put a proxy in front")
    port: int = Field(default=8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    allowed_hosts: Names = Field(
        default=(),
        description="host names under which the server may be addressed, besides loopback and `host`; * for any",
    )
    allowed_origins: Names = Field(
        default=(),
        description="other origins whose pages may use the API, such as https://docs.example.org; * for any",
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

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin not in {"*", "null"} and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is not an origin; write scheme://host[:port] without a path, or null")
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


class LimitSettings(_Group):
    """What a session may use."""

    heading = "Limits: what one session may use"

    idle_timeout: Seconds = Field(default=30, description="seconds without input or output until a session is ended")
    execution_timeout: Seconds = Field(default=120, description="seconds that a program may run")
    compile_timeout: Seconds = Field(default=30, description="seconds that the compile stage may take")
    cpu_time: Seconds | None = Field(
        default=None, description="CPU seconds that a program's processes may use together; default: no such limit"
    )
    max_batch_runs: int = Field(default=256, ge=1, le=1000, description="cases that a batch may have")
    batch_timeout: Seconds = Field(default=600, description="wall time of all cases of a batch together, in seconds")
    max_output_bytes: int = Field(default=MIB, ge=1, le=256 * MIB, description="bytes of output per session")
    memory_bytes: int = Field(default=200 * MIB, ge=16 * MIB, description="memory per session; there is no swap on top")
    compile_memory_bytes: int = Field(
        default=512 * MIB,
        ge=16 * MIB,
        description="memory while a program is compiled, if that is more than it may have itself",
    )
    compile_cpus: float = Field(
        default=2, ge=0.01, le=1024, allow_inf_nan=False, description="CPUs while a program is compiled, likewise"
    )
    cpus: float = Field(default=0.5, ge=0.01, le=1024, allow_inf_nan=False, description="CPUs per session")
    pids: int = Field(default=32, ge=2, le=32768, description="processes and threads per session")
    workspace_bytes: int = Field(default=32 * MIB, ge=65536, description="size of a session's writable directory")
    max_collected_files: int = Field(
        default=64,
        ge=0,
        le=4096,
        description="files that are kept of what a program leaves behind, where it is asked for",
    )
    max_collected_bytes: int = Field(
        default=8 * MIB, ge=0, le=256 * MIB, description="bytes that these files may hold together"
    )

    @property
    def limits(self) -> Limits:
        """What a session may use when it does not ask for less."""
        return Limits(
            memory_bytes=self.memory_bytes,
            cpus=self.cpus,
            pids=self.pids,
            workspace_bytes=self.workspace_bytes,
            output_bytes=self.max_output_bytes,
            stdout_bytes=None,
            stderr_bytes=None,
            idle_timeout=self.idle_timeout,
            execution_timeout=self.execution_timeout,
            cpu_time=self.cpu_time,
            compile_timeout=self.compile_timeout,
            compile_memory_bytes=max(self.compile_memory_bytes, self.memory_bytes),
            compile_cpus=max(self.compile_cpus, self.cpus),
            collected_files=self.max_collected_files,
            collected_bytes=self.max_collected_bytes,
        )


class AdmissionSettings(_Group):
    """How many sessions there are, and for how long."""

    heading = "Admission: how many sessions there are, and for how long"

    max_sessions: int = Field(default=10, ge=1, le=10000, description="sessions that run at once")
    max_compiles: int = Field(
        default_factory=default_compiles,
        ge=1,
        le=10000,
        description="sessions that compile at once; each takes what its compile stage may use beyond its own limits",
    )
    max_queue: int = Field(default=100, ge=0, le=100000, description="sessions that may wait for a slot")
    queue_timeout: Seconds = Field(default=120, description="seconds that a session waits for a slot")
    detach_grace: Seconds = Field(default=60, description="seconds that a session goes on without any client")
    retention: Seconds = Field(default=60, description="seconds that an ended session stays readable")
    drain_delay: float = Field(
        default=0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds after SIGTERM in which only /readyz fails, so that load balancers turn to other servers",
    )
    drain_timeout: Seconds = Field(default=150, description="seconds that running sessions then get")
    max_retained_bytes: int = Field(
        default=128 * MIB,
        ge=8 * MIB,
        description="bytes that the server holds for all clients together: requests, input and output",
    )


class EngineSettings(AdmissionSettings, LimitSettings):
    """What the engine needs."""


LIMIT_NAMES = ("memory", "swap", "pids", "cpu")
"""What an engine may be unable to limit; see `ExecutorSettings.missing_limits`."""


class ExecutorSettings(_Group):
    """What containers there are, and how they are made."""

    heading = "Containers: of which languages, how many in advance, and how they are made"

    # These two come before `pool`, whose default depends on them.
    languages: Names = Field(default=(), description="names of the languages to offer; default: all that there are")
    languages_dir: Path | None = Field(
        default=None,
        description="directory with further languages, each a directory with language.toml and Dockerfile",
    )

    pool: Annotated[dict[str, Annotated[int, Field(ge=0, le=100)]], NoDecode] = Field(
        default_factory=default_pool,
        description="warm containers to keep by language, such as python=4,java=2; 0 for none at all",
    )
    uids: str = Field(
        default="50000-59999",
        pattern=r"^[0-9]{1,5}-[0-9]{1,5}$",
        validate_default=True,
        description="user ids for programs, one for each container; another range for each server on one engine",
    )
    runtime: str | None = Field(
        default=None, description="Docker runtime for the containers, such as runsc; default: the engine's"
    )

    base_registry: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9._:-]+/)*$",
        description="what comes before base images' names when images are built, such as mirror.example.org/library/",
    )
    missing_limits: Names = Field(
        default=(),
        description="limits that programs may do without where the engine can't enforce them: memory, swap, pids, cpu",
    )

    @field_validator("missing_limits")
    @classmethod
    def _limits(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in value if name not in LIMIT_NAMES]:
            raise ValueError(f"{', '.join(unknown)} is none of {', '.join(LIMIT_NAMES)}")
        return value

    @field_validator("pool", mode="before")
    @classmethod
    def _sizes(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip() == "0":
            return {}
        sizes: dict[str, str] = {}
        for part in value.split(","):
            name, equals, size = part.partition("=")
            if not equals:
                raise ValueError(f"{part.strip()!r} is not of the form language=size; write python=4,java=2, or 0")
            sizes[name.strip()] = size.strip()
        return sizes

    @field_validator("uids")
    @classmethod
    def _mappable(cls, value: str) -> str:
        ids = _range(value)
        if ids.start < 1 or ids.stop - 1 > MAX_UID:
            raise ValueError(f"{value} is not within 1 to {MAX_UID}, which every engine can map")
        return value

    @property
    def uid_range(self) -> range:
        """The user ids for programs."""
        return _range(self.uids)

    def check_pool(self, languages: Collection[str]) -> None:
        """Returns if the pool is of languages that there are.

        Raises:
            ConfigurationError: it is not; names those.
        """
        if unknown := sorted(set(self.pool) - set(languages)):
            raise ConfigurationError(f"pool: unknown: {', '.join(unknown)}; available: {', '.join(languages)}")


GROUPS: tuple[type[_Group], ...] = (ServerSettings, LimitSettings, AdmissionSettings, ExecutorSettings)


class Settings(  # pyright: ignore[reportIncompatibleVariableOverride] - BaseSettings narrows the type of model_config
    ExecutorSettings, EngineSettings, ServerSettings, BaseSettings
):
    """All settings, flat. `trio-exec config` lists them with the descriptions above, by group.

    The last base's fields come first: when those of the executor are looked at, the others are known.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # Compose files pass variables on that nobody set.
    )

    @field_validator("uids")
    @classmethod
    def _enough(cls, value: str, info: ValidationInfo) -> str:
        ids = _range(value)
        pool: Mapping[str, int] = info.data.get("pool", {})
        needed = info.data.get("max_sessions", 0) + sum(pool.values()) + UIDS_TO_SPARE
        if len(ids) < needed:
            raise ValueError(
                f"{value} has {len(ids)} user ids; sessions, the pool and containers that are being removed take up "
                f"to {needed}"
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101 - as pydantic-settings makes it
        # Their names as this source has them, in lower case.
        variables = env_settings.env_vars.items()
        env_settings.env_vars = {name: value for name, value in variables if not of_kubernetes(name, value or "")}
        sources = [init_settings, env_settings]
        if path := os.environ.get(_CONFIG_VARIABLE):
            sources.append(TomlConfigSettingsSource(settings_cls, path))
        return tuple(sources)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Reads the settings.

        Args:
            overrides: settings that go before all else.

        Raises:
            ConfigurationError: a setting is unknown or its value can't be used; names each one.
        """
        reject_unknown(PREFIX, [*cls.model_fields, "config"])
        path = os.environ.get(_CONFIG_VARIABLE)
        if path and not Path(path).is_file():
            raise ConfigurationError(f"{_CONFIG_VARIABLE}: there is no file {path}")
        try:
            return cls(**overrides)
        except ValidationError as error:
            # A default that depends on others can't be made where those are wrong; that they are is said anyhow.
            details = [detail for detail in error.errors() if detail["type"] != "default_factory_not_called"]
            lines = [_sentence(detail) for detail in details]
            raise ConfigurationError("\n".join(lines)) from error
        except ValueError as error:  # A TOML file that does not parse.
            raise ConfigurationError(f"{path}: {error}") from error


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last) + 1)


def _sentence(detail: ErrorDetails) -> str:
    name, *within = [str(part) for part in detail["loc"]] or ["settings"]
    if detail["type"] == "extra_forbidden":
        return no_such(name, Settings.model_fields)
    message = detail["msg"].removeprefix("Value error, ")
    return ": ".join([f"{name} ({PREFIX}{name.upper()})", *within, message])
