"""Every setting of the server, in one place.

Each comes from its environment variable `TRIO_EXEC_<NAME>`, else from the TOML file that `TRIO_EXEC_CONFIG` or
`--config` names, else from the default here. pydantic-settings reads and validates them. Zero and
negative limits are rejected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from trio_exec.addresses import is_loopback
from trio_exec.errors import ConfigurationError
from trio_exec.keys import load_keys
from trio_exec.model import Quota
from trio_exec.settings.access import AccessSettings
from trio_exec.settings.admission import AdmissionSettings
from trio_exec.settings.executor import LIMIT_NAMES, ExecutorSettings, uids_of
from trio_exec.settings.fields import Group
from trio_exec.settings.kubernetes import KubernetesSettings
from trio_exec.settings.limits import LimitSettings
from trio_exec.settings.observe import LogFormat, LogLevel, ObserveSettings
from trio_exec.settings.sentences import sentence
from trio_exec.settings.server import ServerSettings
from trio_exec.variables import of_kubernetes, reject_unknown

__all__ = [
    "GROUPS",
    "LIMIT_NAMES",
    "PREFIX",
    "APISettings",
    "AccessSettings",
    "AdmissionSettings",
    "EngineSettings",
    "ExecutorSettings",
    "KubernetesSettings",
    "LimitSettings",
    "LogFormat",
    "LogLevel",
    "ObserveSettings",
    "ServerSettings",
    "Settings",
]

PREFIX = "TRIO_EXEC_"
_CONFIG_VARIABLE = f"{PREFIX}CONFIG"
OF_CLIENTS = ("url", "api_key")
"""What the command line takes for a client; who sets it may serve all the same."""
UIDS_TO_SPARE = 100
"""For containers that are still being removed, which the engine may take its time for."""


class EngineSettings(AdmissionSettings, LimitSettings):
    """What the engine needs."""


class APISettings(AccessSettings, AdmissionSettings, ServerSettings):
    """What the API needs."""

    @property
    def auth_mode(self) -> Literal["none", "keys", "proxy"]:
        """Who may use the API.

        Raises:
            ConfigurationError: nobody has said so, or not all of it, and it would be anybody who reaches the server.
        """
        auth = self.auth or ("none" if self.keys_file is None else "keys")
        if auth == "keys" and self.keys_file is None:
            raise ConfigurationError(
                f"auth is keys, and keys_file ({PREFIX}KEYS_FILE) names no file; make one: "
                "trio-exec keys create NAME --keys-file FILE"
            )
        if auth == "proxy" and not self.trusted_proxies:
            raise ConfigurationError(
                f"auth is proxy, and trusted_proxies ({PREFIX}TRUSTED_PROXIES) is empty: whom {self.auth_header} names "
                "is believed of trusted proxies alone; name their addresses"
            )
        if self.auth is None and auth == "none" and not is_loopback(self.host):
            raise ConfigurationError(
                f"host is {self.host}: whoever reaches that could run programs here, since nobody needs a key. Make "
                "keys (trio-exec keys create NAME --keys-file FILE) and set keys_file; or let a proxy say who asks "
                f"(auth = proxy); or say that anybody may: {PREFIX}AUTH=none"
            )
        return auth

    def check_access(self) -> None:
        """Returns if it is clear who may use the API.

        Raises:
            ConfigurationError: it is not.
        """
        if self.auth_mode == "keys" and self.keys_file is not None:
            load_keys(self.keys_file)

    @property
    def owner_quota(self) -> Quota:
        """What one owner may take, unless their key says something else."""
        return Quota(
            max_sessions=self.owner_max_sessions or max(1, self.max_sessions // 2),
            max_queued=self.max_queue // 2 if self.owner_max_queued is None else self.owner_max_queued,
            starts_per_minute=self.owner_starts_per_minute,
            max_retained_bytes=self.owner_max_retained_bytes or self.max_retained_bytes // 2,
        )


GROUPS: tuple[type[Group], ...] = (
    ServerSettings,
    AccessSettings,
    LimitSettings,
    AdmissionSettings,
    ExecutorSettings,
    KubernetesSettings,
    ObserveSettings,
)


class Settings(  # pyright: ignore[reportIncompatibleVariableOverride] - BaseSettings narrows the type of model_config
    KubernetesSettings, ExecutorSettings, ObserveSettings, EngineSettings, APISettings, BaseSettings
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
        ids = uids_of(value)
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
        reject_unknown(PREFIX, [*cls.model_fields, "config"], others=OF_CLIENTS)
        path = os.environ.get(_CONFIG_VARIABLE)
        if path and not Path(path).is_file():
            raise ConfigurationError(f"{_CONFIG_VARIABLE}: there is no file {path}")
        try:
            return cls(**overrides)
        except ValidationError as error:
            # A default that depends on others can't be made where those are wrong; that they are is said anyhow.
            details = [detail for detail in error.errors() if detail["type"] != "default_factory_not_called"]
            lines = [sentence(detail, cls.model_fields, PREFIX) for detail in details]
            raise ConfigurationError("\n".join(lines)) from error
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except ValueError as error:  # A TOML file that does not parse.
            raise ConfigurationError(f"{path}: {error}") from error
