"""Makes a cluster ready, for as long as it takes: it may come up after us, and a node may fetch an image for minutes.

provide
├─ (itself)   tries whether pods are kept in, as soon as one could be opened
└─ try        one for each language: opens a pod of it, however often that fails, and asks for its version

So a language is there as soon as a pod of it could be opened, and one whose image can't be had keeps no other away.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from functools import partial

import trio

from trio_exec.errors import ExecutorError
from trio_exec.events import Emit, ImagesReady
from trio_exec.executor.base import ContainerSpec
from trio_exec.executor.images import language_images, version_in
from trio_exec.executor.insisting import insist
from trio_exec.executor.kubernetes.errand import run_errand
from trio_exec.executor.kubernetes.executor import KubernetesExecutor
from trio_exec.executor.kubernetes.isolation import Isolation
from trio_exec.languages import Language
from trio_exec.limits import Limits
from trio_exec.model import StageName

LOGGER = logging.getLogger("trio_exec.kubernetes")

LIFETIME = 120
"""Seconds that a pod which is tried may live."""
VERSION_TIMEOUT = 60
"""Seconds for a language to tell its version."""
AT_ONCE = 2


class Provider:
    """Tries pods of every language, and whether they are kept in.

    Args:
        executor: is told which languages there are, and what keeps it from working.
        languages: to be tried.
        limits: those of the pods that are tried.
        registry: what comes before the names of images.
        isolation: tries whether a pod can reach anything.
        emit: is told when all languages are there.
    """

    def __init__(
        self,
        executor: KubernetesExecutor,
        languages: Collection[Language],
        limits: Limits,
        *,
        registry: str,
        isolation: Isolation,
        emit: Emit,
    ) -> None:
        self._executor = executor
        self._languages = languages
        self._limits = limits
        self._isolation = isolation
        self._emit = emit
        self._some: str | None = None
        self._found = trio.Event()
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        executor.use_images({name: f"{registry}{it.tag}" for name, it in language_images(languages).items()})
        executor.missing.update({it.name: "a first pod of it is being tried" for it in languages})

    async def provide(self) -> None:
        """Returns when a pod of every language could be opened, and pods are kept in."""
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._insist, "isolation", self._try_isolation_first)
            async with trio.open_nursery() as languages:
                for language in self._languages:
                    languages.start_soon(self._insist, language.name, partial(self.try_language, language))
            self._emit(ImagesReady(trio.current_time() - start))

    async def try_language(self, language: Language) -> None:
        """Opens a pod of a language, which then can be run, and asks for its version.

        Raises:
            ExecutorError: it can't be opened; says why.
        """
        async with self._limiter, self._executor.open_unheld(self._spec(language.name)) as pod:
            if language.version_command:
                printed = await run_errand(pod, language.version_command, VERSION_TIMEOUT)
                self._executor.versions[language.name] = version_in(language.name, printed)
        self._executor.missing.pop(language.name, None)
        self._some = self._some or language.name
        self._found.set()

    async def try_isolation(self) -> None:
        """Tries whether pods are kept in, by one of a language that can be run; see `Isolation`.

        Raises:
            ExecutorError: they are not; or there is no such language.
        """
        name = self._some
        if name is None:
            raise ExecutorError("no pod could be opened, so whether it would reach anything is not known")
        await self._isolation.check(lambda: self._executor.open_unheld(self._spec(name)))

    async def _try_isolation_first(self) -> None:
        await self._found.wait()
        self._executor.health.unusable("whether pods can reach anything is being tried")
        await self.try_isolation()
        self._executor.usable()
        names = ", ".join(it.name for it in self._languages if it.name not in self._executor.missing)
        # Its pods bear this in their names, and as a label.
        LOGGER.info("instance %s is ready to run %s", self._executor.instance, names)

    def _spec(self, language: str) -> ContainerSpec:
        resources = [self._limits.resources(StageName.RUN)]
        return ContainerSpec(
            session_id="", language=language, limits=self._limits, resources=resources, lifetime=LIFETIME
        )

    async def _insist(self, name: str, attempt: Callable[[], Awaitable[None]]) -> None:
        """Returns when an attempt has succeeded; says meanwhile what is missing."""

        def tell(error: ExecutorError, delay: int) -> None:
            LOGGER.warning("%s: %s; will try again in %d seconds", name, error, delay)
            self._tell(name, f"{error}; it is tried again in {delay} seconds")

        await insist(attempt, tell)

    def _tell(self, name: str, why: str) -> None:
        if name in self._executor.missing:
            self._executor.missing[name] = why
            if self._found.is_set():
                return
            why = "; ".join(f"{language}: {words}" for language, words in self._executor.missing.items())
        self._executor.health.unusable(why)
