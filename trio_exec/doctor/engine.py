"""The Docker engine: what it says of itself, and which images it has. What it really enforces, `probe` finds out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trio_exec.addresses import is_loopback
from trio_exec.doctor.findings import Finding, broken, ok, skipped, warning
from trio_exec.errors import BuildFailedError, ExecutorError
from trio_exec.executor.docker.api import DockerAPI
from trio_exec.executor.docker.enforcement import REMEDIES, lacking
from trio_exec.executor.docker.providing import Provider
from trio_exec.executor.docker.translation import address
from trio_exec.executor.images import language_images, launcher_image
from trio_exec.languages import Language
from trio_exec.limits import MIB
from trio_exec.settings import Settings

GIB = 1024 * MIB
FREE_ENOUGH = 3 * GIB
"""Bytes for all built-in languages' images, and for what a build needs beside them."""
FREE_LEAST = 256 * MIB
LINES_SHOWN = 5
"""Of what a build that failed has printed."""


def is_local(info: Mapping[str, Any]) -> bool:
    """Whether the engine's machine is this one, as far as can be told: /proc and the disk are then the engine's."""
    return address().startswith("unix://") and info.get("KernelVersion") == os.uname().release


def engine_findings(info: Mapping[str, Any], version: tuple[str, str], settings: Settings) -> list[Finding]:
    """What an engine says of itself.

    Args:
        info: its answer to `docker info`.
        version: its version, and that of its API which is spoken.
        settings: of the server.
    """
    options = _security_options(info)
    return [
        ok("engine.reachable", f"Docker {version[0]} answers at {address()}; its API is spoken as of {version[1]}"),
        *_unencrypted(),
        _users(options),
        _cgroups(info),
        *_limits(info, settings.missing_limits),
        _seccomp(options),
        _runtime(info, settings.runtime),
        _disk(info),
    ]


def _unencrypted() -> list[Finding]:
    url = urlsplit(address())
    if url.scheme not in {"tcp", "http"} or is_loopback(url.hostname or ""):
        return []
    return [
        warning(
            "engine.address",
            f"{address()} is reached over a network, without encryption: whoever can reach it is root on the engine's "
            "machine",
            "Forward the engine's socket instead: ssh -NL /run/trio-exec/docker.sock:/var/run/docker.sock HOST, and "
            "DOCKER_HOST=unix:///run/trio-exec/docker.sock",
        )
    ]


def _security_options(info: Mapping[str, Any]) -> Mapping[str, str]:
    """By name, with whatever follows it: the engine writes `name=seccomp,profile=default`."""
    found: dict[str, str] = {}
    options: Iterable[str] = info.get("SecurityOptions") or ()
    for option in options:
        first, _, rest = option.partition(",")
        found[first.removeprefix("name=")] = rest
    return found


def _users(options: Mapping[str, str]) -> Finding:
    if "rootless" in options:
        return ok("engine.users", "the engine is rootless: a container's root is an ordinary user on the machine")
    if "userns" in options:
        return ok("engine.users", "the engine maps users: a container's root is nobody on the machine")
    return ok(
        "engine.users",
        "the engine runs as root, without user namespaces; programs are no root in their containers",
    )


def _cgroups(info: Mapping[str, Any]) -> Finding:
    driver, version = info.get("CgroupDriver", "unknown"), info.get("CgroupVersion", "1")
    if driver == "none":
        return broken(
            "engine.cgroups",
            "the engine has no cgroups, and so can limit nothing",
            "A rootless engine needs cgroup v2, systemd, and controllers that are delegated to its user: "
            "https://rootlesscontaine.rs/getting-started/common/cgroup2/",
        )
    if version == "1":
        return warning(
            "engine.cgroups",
            f"cgroup v1 (driver {driver}): memory in TCP sockets is outside of the memory limit, so programs get fewer "
            "descriptors and no UDP",
            "Boot the engine's machine with cgroup v2, which any current distribution has: the kernel's option "
            "systemd.unified_cgroup_hierarchy=1.",
        )
    return ok("engine.cgroups", f"cgroup v{version} (driver {driver})")


def _limits(info: Mapping[str, Any], dispensable: Collection[str]) -> list[Finding]:
    missing = lacking(info)
    findings: list[Finding] = []
    for limit in missing:
        remedy = f"{REMEDIES[limit].capitalize()}."
        words = f"the engine can't limit {limit}"
        if limit in dispensable:
            findings.append(warning(f"engine.limits.{limit}", f"{words}, as missing_limits allows", remedy))
        else:
            findings.append(broken(f"engine.limits.{limit}", words, remedy))
    return findings or [ok("engine.limits", "the engine can limit memory, swap, processes and CPU")]


def _seccomp(options: Mapping[str, str]) -> Finding:
    if "seccomp" not in options:
        return broken(
            "engine.security",
            "the engine has no seccomp, by which programs are kept from most system calls",
            "Use a kernel with CONFIG_SECCOMP_FILTER, and an engine that was built with seccomp.",
        )
    others = [title for name, title in (("apparmor", "AppArmor"), ("selinux", "SELinux")) if name in options]
    return ok("engine.security", f"seccomp; {' and '.join(others) if others else 'neither AppArmor nor SELinux'}")


def _runtime(info: Mapping[str, Any], wanted: str | None) -> Finding:
    runtimes: Iterable[str] = info.get("Runtimes") or ()
    names = sorted(runtimes)
    if wanted is None:
        return ok("engine.runtime", f"containers run by the engine's default runtime, {info.get('DefaultRuntime')}")
    if wanted not in names:
        return broken(
            "engine.runtime",
            f"the setting runtime names {wanted}, which the engine does not know; it knows {', '.join(names)}",
            "Add it to `runtimes` in the engine's /etc/docker/daemon.json and restart the engine, or change the "
            "setting; docs/deploy.md has an example for gVisor.",
        )
    return ok("engine.runtime", f"containers run by {wanted}")


def _disk(info: Mapping[str, Any]) -> Finding:
    root, driver = Path(str(info.get("DockerRootDir", ""))), info.get("Driver", "unknown")
    try:
        # In a container that has the engine's socket, its folder is another one, or not there.
        free = shutil.disk_usage(root).free if is_local(info) else None
    except OSError:
        free = None
    if free is None:
        return skipped(
            "engine.disk",
            f"images are in {root} on the engine's machine ({driver}), whose free space can't be seen here",
        )
    words = f"{free / GIB:.1f} GiB are free in {root}, where the images are ({driver})"
    remedy = "Free some space; `trio-exec prune` and `docker image prune` remove images that nobody needs."
    if free < FREE_LEAST:
        return broken("engine.disk", words, remedy)
    return warning("engine.disk", words, remedy) if free < FREE_ENOUGH else ok("engine.disk", words)


async def image_findings(
    provider: Provider,
    missing: Mapping[str, str],
    languages: Collection[Language],
    *,
    build: Callable[[str], None] | None,
) -> list[Finding]:
    """Which languages have their images.

    Args:
        provider: has looked.
        missing: by language, what it waits for; as the executor has it, and so shrinks as images are built.
        languages: all of them.
        build: is called with the name of each that is then built; None to build nothing.

    Raises:
        ExecutorUnavailableError: the engine can't be reached.
    """
    findings: list[Finding] = []
    for language in languages:
        check = f"images.{language.name}"
        if language.name not in missing:
            findings.append(ok(check, "its image is there"))
            continue
        if build is None:
            findings.append(
                warning(
                    check,
                    "its image is not there; a server builds it as it starts, which takes a minute or two",
                    f"`trio-exec build {language.name}` builds it now; `trio-exec doctor --build` says what keeps it "
                    "from being built.",
                )
            )
            continue
        build(language.name)
        try:
            await provider.build(language.name)
        except BuildFailedError as error:
            last = " / ".join(line.strip() for line in error.lines[-LINES_SHOWN:] if line.strip())
            findings.append(broken(check, error.message, f"The build's last lines: {last}" if last else None))
        else:
            findings.append(ok(check, "its image was not there, and is now"))
    return findings


def old_images(api: DockerAPI, languages: Collection[Language], registry: str) -> list[Finding]:
    """Images that other versions have left; blocks.

    Raises:
        ExecutorError: the engine does not tell.
    """
    present = {launcher_image(registry).tag, *(it.tag for it in language_images(languages, registry).values())}
    repositories = {tag.partition(":")[0] for tag in present}
    old = [tag for repository in repositories for tag in api.image_tags(repository) if tag not in present]
    if not old:
        return [ok("images.old", "there are no images of other versions")]
    return [
        warning(
            "images.old",
            f"{len(old)} images are of other versions of trio-exec",
            "`trio-exec prune` removes them; wait until no other version serves on this engine.",
        )
    ]


def unreachable(error: ExecutorError) -> Finding:
    """The engine does not answer, or can't be used at all; its reason says what to do."""
    return broken("engine.reachable", error.message)
