"""All that is looked at on this side: the engine and its images, the settings, who may ask, and what is in force.

The same functions decide here and in a server (`/readyz`): whether the engine can be used, which languages lack their
image, and whether a container can be opened with all of its limits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

from trio_exec.doctor.access import access_findings
from trio_exec.doctor.cluster import cluster_findings
from trio_exec.doctor.engine import engine_findings, image_findings, old_images, unreachable
from trio_exec.doctor.findings import Finding, broken, ok, warning
from trio_exec.doctor.host import host_findings
from trio_exec.doctor.probe import LANGUAGE, left_out, plan_attempts, probe
from trio_exec.errors import ExecutorError, ExecutorUnavailableError
from trio_exec.events import ignore
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.providing import Provider
from trio_exec.executor.docker.service import running
from trio_exec.executor.docker.translation import translated
from trio_exec.executor.images import language_images
from trio_exec.executor.machine import EXTRA_CAPABILITIES
from trio_exec.languages import RUNTIMES, Language, Languages
from trio_exec.settings import Settings


@dataclass(frozen=True, slots=True)
class Extent:
    """How far to look.

    Attributes:
        probe: whether to open containers.
        build: whether to build images that are missing, as a server would.
    """

    probe: bool = True
    build: bool = False


async def examine(
    settings: Settings, languages: Languages, extent: Extent, *, tell: Callable[[str], None]
) -> list[Finding]:
    """Looks at everything but proxies.

    Args:
        settings: of the server.
        languages: that it offers.
        extent: how far to look.
        tell: is called with what comes next, in a few words.

    Cancellation: at any moment; containers are removed first.
    """
    access = await trio.to_thread.run_sync(access_findings, settings, languages)
    if settings.executor == "kubernetes":
        return [*await cluster_findings(settings, languages, probe=extent.probe, tell=tell), *access]
    return [*await _examine_engine(settings, languages, extent, tell), *access]


async def _examine_engine(
    settings: Settings, languages: Languages, extent: Extent, tell: Callable[[str], None]
) -> list[Finding]:
    try:
        api = DockerAPI()
    except ExecutorUnavailableError as error:
        return [unreachable(error), *left_out("there is no engine")]
    executor = DockerExecutor(api, settings.uid_range, settings.runtime, settings.missing_limits)
    provider = Provider(
        api, executor, languages.values(), settings.limits, registry=settings.base_registry, emit=ignore
    )
    async with running(api, executor):
        return await _Examination(settings, languages, extent, api, executor, provider, tell).all()


@dataclass(frozen=True, slots=True)
class _Examination:
    settings: Settings
    languages: Languages
    extent: Extent
    api: DockerAPI
    executor: DockerExecutor
    provider: Provider
    tell: Callable[[str], None]

    async def all(self) -> list[Finding]:
        self.tell("asking the engine…")
        await self.executor.check()
        if (reason := self.executor.health.failure) is not None:
            return [broken("engine.reachable", reason), *left_out("the engine does not answer")]
        findings: list[Finding] = []
        try:
            findings += await self._engine()
            findings += await self._images()
            findings += await self._containers()
        except ExecutorUnavailableError as error:
            return [unreachable(error), *findings]
        return findings

    async def _engine(self) -> list[Finding]:
        info = await trio.to_thread.run_sync(self.api.info)
        now = time.time()
        version = await trio.to_thread.run_sync(self.api.version)
        with translated("tell about itself"):  # What answers may be no engine, and tell anything.
            return [*engine_findings(info, version, self.settings), *host_findings(info, self.settings, now)]

    async def _images(self) -> list[Finding]:
        self.tell("looking for images…")
        await self.provider.look()
        build = self._tell_build if self.extent.build else None
        found = await image_findings(self.provider, self.executor.missing, self.languages.values(), build=build)
        registry = self.settings.base_registry
        return [
            *found,
            *await trio.to_thread.run_sync(old_images, self.api, self.languages.values(), registry),
        ]

    def _tell_build(self, language: str) -> None:
        self.tell(f"building {language}; this takes a minute or two…")

    async def _containers(self) -> list[Finding]:
        if not self.extent.probe:
            return left_out("--no-probe")
        if len(self.executor.missing) == len(self.languages):
            return left_out("no language has its image", "trio-exec build")
        self.tell("opening a container…")
        start = trio.current_time()
        try:
            await self.provider.try_out()
        except ExecutorUnavailableError:
            raise
        except ExecutorError as error:
            return [broken("containers.open", error.message), *left_out("no container can be opened")]
        seconds = trio.current_time() - start
        opened = ok("containers.open", f"one could be opened, as for a session, in {seconds:.1f} s")
        return [opened, self._capabilities(), self._updates(), *await self._probe()]

    def _capabilities(self) -> Finding:
        lacking = sorted(set(EXTRA_CAPABILITIES) - set(self.executor.hardening.machine.extra_capabilities))
        if not lacking:
            return ok("containers.launcher", "launchers come before their programs, for CPU and for memory")
        return warning(
            "containers.launcher",
            f"launchers do without {' and '.join(lacking)}: a program that takes all memory or CPU may keep its "
            "launcher from telling how it ended",
            "Give the engine these capabilities; one that is in a container of its own often lacks them.",
        )

    def _updates(self) -> Finding:
        if self.executor.can_update_limits:
            return ok("containers.update", "limits can be changed while a container runs")
        return warning(
            "containers.update",
            "the runtime can't change a running container's limits: programs are compiled within those of the run "
            "stage, and sessions that ask for lower ones start cold",
        )

    async def _probe(self) -> list[Finding]:
        """By Python, if its image is there, whether or not it is offered; else by what another image has."""
        language = await self._python() or next(
            it for name, it in self.languages.items() if name not in self.executor.missing
        )
        info = await trio.to_thread.run_sync(self.api.info)
        gateway = await trio.to_thread.run_sync(self.api.gateway)
        attempts = plan_attempts(self.settings.limits, self.executor.hardening, gateway)
        return await probe(
            self.executor,
            language,
            attempts,
            kernel=str(info.get("KernelVersion")),
            dispensable=self.settings.missing_limits,
            tell=lambda name: self.tell(f"trying what holds: {name}…"),
        )

    async def _python(self) -> Language | None:
        """The language as it comes with trio-exec, which the executor then knows; None if its image is not there."""
        language = Languages.load(self.settings.languages_dir).get(LANGUAGE)
        if language is None or language.directory != RUNTIMES / LANGUAGE:
            return None
        image = language_images([language], self.settings.base_registry)[LANGUAGE]
        if not await trio.to_thread.run_sync(self.api.image_exists, image.tag):
            return None
        self.executor.use_images({LANGUAGE: image.tag})
        return language
