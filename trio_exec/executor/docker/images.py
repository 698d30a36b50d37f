"""Builds the languages' images, and removes those that other versions have built."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from trio_exec.errors import BuildFailedError, ExecutorError, ExecutorUnavailableError
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.labels import VERSION_LABEL
from trio_exec.executor.images import Image, context_of, language_images, launcher_image, version_in
from trio_exec.languages import Language

LINES_KEPT = 20
"""Of what a build prints: the last ones, which say why it failed."""
_PROXY_VARIABLES = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"}
_INSPECTED = re.compile(
    r"certificate verif\w+ failed|SSL certificate problem|self.signed certificate|x509: certificate"
    r"|unable to get (local )?issuer certificate|PKIX path",
    re.I,
)
"""What programs say of a certificate that the network itself has made."""


def _tar(image: Image) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in context_of(image.directory):
            tar.add(path, arcname=str(path.relative_to(image.directory)))
        for name, text in image.made:
            content = text.encode()
            file = tarfile.TarInfo(name)
            file.size = len(content)
            tar.addfile(file, io.BytesIO(content))
    buffer.seek(0)
    return buffer


def _proxies() -> dict[str, str]:
    """This process's proxies, for the build; every builder knows these arguments, and keeps them out of the image."""
    return {name: value for name, value in os.environ.items() if value and name.upper() in _PROXY_VARIABLES}


def missing_images(api: DockerAPI, images: Mapping[str, Image]) -> list[str]:
    """Which of these images, by name of the language, the engine has not.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
    """
    return [name for name, image in images.items() if not api.image_exists(image.tag)]


def build(
    api: DockerAPI,
    image: Image,
    *,
    started: Callable[[str], None],
    progress: Callable[[str], None],
    rebuild: bool = False,
) -> None:
    """Builds an image, if the engine has it not; blocks for as long as that takes.

    Args:
        api: the engine.
        image: what to build.
        started: is called with a sentence if it is necessary.
        progress: is called with each line that the engine prints.
        rebuild: build it even if it is there.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
        BuildFailedError: it was built in vain; says which, and the engine's reason.
    """
    if not rebuild and api.image_exists(image.tag):
        return
    started(f"building {image.tag}; this takes a minute or two")
    last: deque[str] = deque(maxlen=LINES_KEPT)
    arguments = {**_proxies(), **dict(image.arguments)}
    try:
        for line in api.build(context=_tar(image), tag=image.tag, arguments=arguments):
            last.append(line)
            progress(line)
        if image.version_command:
            printed = api.output_of(image.tag, image.version_command)
            last.extend(printed.splitlines())
            api.label(image.tag, {VERSION_LABEL: version_in(image.tag, printed)})
    except ExecutorUnavailableError:
        raise
    except ExecutorError as error:
        inspected = any(_INSPECTED.search(line) for line in [error.message, *last])
        hint = "; the network seems to inspect TLS, for which docs/deploy.md has a remedy" if inspected else ""
        raise BuildFailedError(f"{error.message}{hint}", list(last)) from error


def versions(api: DockerAPI, images: Mapping[str, Image]) -> dict[str, str]:
    """The languages' versions, of those whose images have them.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
        ExecutorError: an image is not there.
    """
    labels = {name: api.labels(image.tag) for name, image in images.items()}
    return {name: of[VERSION_LABEL] for name, of in labels.items() if VERSION_LABEL in of}


def build_missing(
    api: DockerAPI,
    languages: Iterable[Language],
    *,
    started: Callable[[str], None],
    progress: Callable[[str], None],
    rebuild: bool = False,
    registry: str = "",
) -> dict[str, str]:
    """Builds what the engine does not have yet; blocks for as long as that takes.

    One that can't be built keeps no other from being built.

    Args:
        api: the engine.
        languages: those to build for.
        started: is called with a sentence for each build that is necessary.
        progress: is called with each line that the engine prints.
        rebuild: build even what is there.
        registry: what comes before the names of base images.

    Returns:
        The tags by name of the language.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
        ExecutorError: builds failed; says which, and the engine's reasons.
    """
    images = language_images(languages, registry)
    build(api, launcher_image(registry), started=started, progress=progress, rebuild=rebuild)
    failures: list[str] = []
    for image in images.values():
        try:
            build(api, image, started=started, progress=progress, rebuild=rebuild)
        except BuildFailedError as error:
            failures.append(error.message)
    if failures:
        raise ExecutorError("\n".join(failures))
    return {name: image.tag for name, image in images.items()}


def prune(
    api: DockerAPI,
    languages: Iterable[Language],
    *,
    removed: Callable[[str], None],
    kept: Callable[[str], None],
    registry: str = "",
) -> None:
    """Removes the images that other versions of trio-exec have built for these languages.

    Args:
        api: the engine.
        languages: those whose present images stay; images of other languages are not looked at.
        removed: is called with each tag that is gone.
        kept: is called with each tag that a container needs.
        registry: what comes before the names of base images.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
        ExecutorError: an image could not be removed; says which, and the engine's reason.
    """
    present = {image.tag for image in [launcher_image(registry), *language_images(languages, registry).values()]}
    for repository in sorted(tag.partition(":")[0] for tag in present):
        for tag in api.image_tags(repository):
            if tag not in present:
                (removed if api.remove_image(tag) else kept)(tag)
