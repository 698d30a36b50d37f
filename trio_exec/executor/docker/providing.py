"""Makes an engine ready, for as long as it takes: it may come up after us, and an image may take minutes.

provide
├─ (itself)   looks which images are there; then tries a container, as soon as there is one to try
└─ build      one for each image that is missing: builds it, however often that fails

So a language is there as soon as its image is, and one that can't be built keeps no other away.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

import trio

from trio_exec.errors import BuildFailedError, ExecutorError, ExecutorUnavailableError
from trio_exec.events import Emit, ImagesReady
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.executor import DockerExecutor
from trio_exec.executor.docker.images import Image, build, language_images, launcher_image, missing_images, versions
from trio_exec.executor.insisting import insist
from trio_exec.languages import Language
from trio_exec.limits import Limits

LOGGER = logging.getLogger("trio_exec.docker")

BUILDS = 2
"""Images that are built at once."""


class Provider:
    """Gets an executor its images, and sees that they run.

    Args:
        api: the engine.
        executor: is told which images there are, and what keeps it from working.
        languages: whose images these are.
        limits: those of the container that is tried.
        registry: what comes before the names of base images.
        emit: is told when all images are there.
    """

    def __init__(
        self,
        api: DockerAPI,
        executor: DockerExecutor,
        languages: Collection[Language],
        limits: Limits,
        *,
        registry: str,
        emit: Emit,
    ) -> None:
        self._api = api
        self._executor = executor
        self._limits = limits
        self._emit = emit
        self._launcher_image = launcher_image(registry)
        self._images = language_images(languages, registry)
        self._some = trio.Event()
        self._launcher = trio.Lock()
        self._builds = trio.CapacityLimiter(BUILDS)

    async def provide(self) -> None:
        """Returns when every language has its image and a container could be opened."""
        start = trio.current_time()
        await self._insist(self.look)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._insist, self._try_out_first)
            async with trio.open_nursery() as builds:
                for name in list(self._executor.missing):
                    builds.start_soon(self._build, name)
            self._emit(ImagesReady(trio.current_time() - start))

    async def _insist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Returns when an attempt has succeeded; until then, the executor is not ready."""

        def tell(error: ExecutorError, delay: int) -> None:
            if isinstance(error, ExecutorUnavailableError):
                self._executor.health.unusable(error.message)
                LOGGER.warning("%s; will try again", error)
            else:
                self._executor.health.unusable(f"{error}; it is tried again in {delay} seconds")
                LOGGER.error("%s; will try again", error)

        await insist(attempt, tell)

    async def look(self) -> None:
        """Tells the executor which images the engine has, and which languages lack theirs.

        Raises:
            ExecutorUnavailableError: the engine can't be reached.
        """
        missing = await trio.to_thread.run_sync(missing_images, self._api, self._images, abandon_on_cancel=True)
        self._executor.missing.update(dict.fromkeys(missing, "its image is being built"))
        await self._use({name: image for name, image in self._images.items() if name not in missing})

    async def _use(self, images: Mapping[str, Image]) -> None:
        found = await trio.to_thread.run_sync(versions, self._api, images, abandon_on_cancel=True)
        self._executor.versions.update(found)
        self._executor.use_images({name: image.tag for name, image in images.items()})
        if not images:
            self._tell()
        elif not self._some.is_set():
            self._executor.health.unusable("a first container is being tried")
            self._some.set()

    def _tell(self) -> None:
        """As long as there is no language at all, says what each waits for."""
        if not self._some.is_set():
            each = "; ".join(f"{name}: {why}" for name, why in self._executor.missing.items())
            self._executor.health.unusable(f"no language can be run yet; {each}")

    async def try_out(self) -> None:
        """Opens a container of a language that has its image; see `DockerExecutor.try_out`.

        Raises:
            ExecutorError: the engine can't be reached, or can't run our containers; says why.
        """
        await self._executor.try_out(self._limits)

    async def _try_out_first(self) -> None:
        await self._some.wait()
        await self.try_out()
        # Its containers bear this as the label trio-exec.instance.
        names = ", ".join(name for name in self._images if name not in self._executor.missing)
        LOGGER.info("instance %s is ready to run %s", self._executor.instance, names)

    async def build(self, name: str) -> None:
        """Builds a language's image, if it is missing, and has the executor use it.

        Raises:
            ExecutorUnavailableError: the engine can't be reached.
            BuildFailedError: it was built in vain; says why.
        """
        async with self._launcher:
            await self._build_missing(self._launcher_image)
        async with self._builds:
            await self._build_missing(self._images[name])
        await self._use({name: self._images[name]})

    async def _build(self, name: str) -> None:
        """Returns when a language has its image, however often that takes."""

        def tell(error: ExecutorError, delay: int) -> None:
            self._executor.missing[name] = f"{error}; it is tried again in {delay} seconds"
            self._tell()
            said = "\n".join(["", *error.lines]) if isinstance(error, BuildFailedError) else ""
            LOGGER.warning("%s can't be run: %s; will try again in %d seconds%s", name, error, delay, said)

        await insist(partial(self.build, name), tell)
        LOGGER.info("%s has its image", name)

    async def _build_missing(self, image: Image) -> None:
        work = partial(build, self._api, image, started=LOGGER.info, progress=LOGGER.debug)
        await trio.to_thread.run_sync(work, abandon_on_cancel=True)
