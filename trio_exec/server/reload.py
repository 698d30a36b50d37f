"""SIGHUP: the settings are read again, and what can change while the server runs is changed.

A table says of each such field how. Every other field needs a restart, and is named in the log when it differs. A file
that can't be used changes nothing. The environment of a running process can't change, so what comes from there stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping

import trio

from trio_exec.api.auth import Authentication
from trio_exec.errors import ConfigurationError
from trio_exec.executor.pool import Pool
from trio_exec.observe.formatting import configure
from trio_exec.server.connections import Connections, connections_that_fit, raise_descriptor_limit
from trio_exec.server.keys import FollowedKeys
from trio_exec.settings import Settings
from trio_exec.settings.kubernetes import KubernetesSettings

LOGGER = logging.getLogger("trio_exec.server")

Apply = Callable[[Settings, Settings], None]
"""Puts a field in force; takes the settings as they are and as they are to be. It does not wait, and does not fail."""


def reloadable(pool: Pool, connections: Connections, auth: Authentication) -> dict[str, Apply]:
    """The fields that can change while the server runs, with how each is applied.

    Args:
        pool: the server's; warm containers come and go, those in use are not touched.
        connections: the server's; those that are open stay.
        auth: gives owners their quotas; sessions that were taken stay.
    """

    def count_connections(_: Settings, new: Settings) -> None:
        connections.resize(connections_at_most(new), new.max_connections_per_address)

    def resize_pool(before: Settings, new: Settings) -> None:
        pool.resize(new.pool)
        count_connections(before, new)  # Containers take descriptors, too.

    def give_quotas(_: Settings, new: Settings) -> None:
        auth.apply(new)

    def write_log(_: Settings, new: Settings) -> None:
        configure(new.log_format, new.log_level)

    return {
        **dict.fromkeys(("log_format", "log_level"), write_log),
        **dict.fromkeys(("owner_max_sessions", "owner_max_queued", "owner_starts_per_minute"), give_quotas),
        **dict.fromkeys(("owner_max_retained_bytes", "shared_addresses"), give_quotas),
        "max_connections": count_connections,
        "max_connections_per_address": count_connections,
        "pool": resize_pool,
    }


def connections_at_most(settings: Settings) -> int:
    """How many connections there may be, beside as many containers as there may be."""
    containers = settings.max_sessions + sum(settings.pool.values())
    return connections_that_fit(settings.max_connections, containers, raise_descriptor_limit())


NEEDS_RESTART = frozenset(
    {
        # Sockets are open by these.
        *("host", "port", "keep_alive_timeout"),
        # Clients have ids with this.
        "replica",
        # Who asks is told by these; what they may, by the file of keys, which is followed.
        *("auth", "keys_file", "auth_header"),
        # There is a listener by these, and series that begin anew.
        *("metrics_port", "metrics_host", "metrics_owners", "otel"),
        # Parts of the application were made of these.
        *("allowed_hosts", "allowed_origins", "embed_origins", "trusted_proxies", "root_path", "max_request_bytes"),
        # Containers that are warm were made with these, and sessions count on it.
        *("idle_timeout", "execution_timeout", "compile_timeout", "cpu_time", "max_batch_runs", "batch_timeout"),
        *("max_output_bytes", "memory_bytes", "compile_memory_bytes", "compile_cpus", "cpus", "pids"),
        *("workspace_bytes", "max_collected_files", "max_collected_bytes"),
        # Queues and limiters have these.
        *("max_sessions", "max_compiles", "max_queue", "queue_timeout", "detach_grace", "retention"),
        *("leave_grace", "max_watchers"),
        *("drain_delay", "drain_timeout", "max_retained_bytes"),
        # The executor has these.
        *("languages", "languages_dir", "uids", "runtime", "base_registry", "missing_limits"),
        *KubernetesSettings.model_fields,
    }
)
"""All other fields."""


class Reloader:
    """Reads the settings again.

    Args:
        settings: as they are in force.
        load: reads them, with what the command line says going before all else; blocks for as long as files take.
        table: how fields are applied; see `reloadable`.
        languages: those that the server has, which a pool can be of.
        keys: are read again as well.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        table: Mapping[str, Apply],
        languages: Collection[str],
        keys: FollowedKeys,
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._load = load
        self._table = table
        self._languages = languages

    async def run(self, wishes: trio.MemoryReceiveChannel[None]) -> None:
        """Reads the settings again each time that it is asked to, until cancelled."""
        async for _ in wishes:
            await self.reload()

    async def reload(self) -> None:
        """Reads the settings, and applies what can be; the log says what came of it."""
        await self._keys.reload()
        try:
            changed, merged = await trio.to_thread.run_sync(self._read)
        except ConfigurationError as error:
            LOGGER.error("the settings stay as they are: %s", "; ".join(error.message.splitlines()))  # noqa: TRY400 - the reason says it all
            return
        before, self._settings = self._settings, merged
        for name in changed:
            if name in self._table:
                self._table[name](before, merged)
                LOGGER.info("%s is now %s", name, getattr(merged, name))
        if waiting := [name for name in changed if name not in self._table]:
            LOGGER.warning("needs a restart: %s", ", ".join(waiting))
        if not changed:
            LOGGER.info("no setting has changed; only those in the file can, and not those of the environment")

    def _read(self) -> tuple[list[str], Settings]:
        """The fields that differ, and what is to be in force: of what needs a restart, that is the old value.

        Raises:
            ConfigurationError: the settings can't be used, or don't fit those that need a restart.
        """
        new = self._load()
        new.check_pool(self._languages)
        names = Settings.model_fields
        changed = [name for name in names if getattr(new, name) != getattr(self._settings, name)]
        source = {name: new if name in self._table else self._settings for name in names}
        return changed, Settings.load(**{name: getattr(source[name], name) for name in names})
