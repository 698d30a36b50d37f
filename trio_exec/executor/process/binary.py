"""The launcher as a program of this machine, compiled once and kept.

Everything here blocks; `executor.py` calls it from a thread.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from trio_exec.errors import ConfigurationError
from trio_exec.executor import policy
from trio_exec.languages import RUNTIMES

SOURCES = RUNTIMES / "launcher"
COMPILER = "gcc"
FLAGS = (
    *("-std=gnu11", "-O2", "-static", "-fstack-protector-strong", "-D_GNU_SOURCE"),
    *("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wvla", "-Werror"),
)
"""Those of the launcher's Dockerfile."""
COMPILE_TIMEOUT = 60
PROBE_TIMEOUT = 10
ISOLATED = (
    *("unshare", "--mount", "--ipc", "--propagation", "private", "--pid"),
    *("--fork", "--kill-child"),  # Should `unshare` be killed before the launcher is there, so is what it started.
)
"""A command behind this one is PID 1 of its own namespace, and its mounts are seen by nobody else."""


def missing() -> str | None:
    """What this machine lacks to run launchers without Docker, in a sentence for users; None when that is nothing."""
    if os.geteuid() != 0:
        return "without Docker, programs can only be run by root, which makes their namespaces"
    for command in (COMPILER, ISOLATED[0], "pivot_root"):
        if shutil.which(command) is None:
            return f"without Docker, programs can only be run where there is `{command}`"
    try:
        probe = subprocess.run(  # noqa: S603 - a command of ours
            [*ISOLATED, "mount", "-t", "tmpfs", "tmpfs", "/tmp"],  # noqa: S108 - in a mount namespace of its own
            capture_output=True,
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"this machine does not let us make namespaces: {error}"
    if probe.returncode != 0:
        return f"this machine does not let us make namespaces: {probe.stderr.decode(errors='replace').strip()}"
    return None


def default_cache() -> Path:
    """A user's own directory for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trio-exec"


def launcher(cache: Path) -> Path:
    """The launcher's program, compiled if its sources are not those that it was compiled from.

    Args:
        cache: directory that keeps it, made if need be. Whoever can write to it can have root run what they like.

    Raises:
        ConfigurationError: it can't be compiled or kept; says why.
    """
    sources = sorted(SOURCES.glob("*.c"))
    policy_header = policy.header()
    digest = hashlib.sha256((" ".join(FLAGS) + policy_header).encode())
    for path in [*sources, *sorted(SOURCES.glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    program = cache / f"launcher-{digest.hexdigest()[:16]}"
    if program.exists():
        return program
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            made = Path(directory) / "launcher"
            (Path(directory) / policy.HEADER).write_text(policy_header, encoding="ascii")
            subprocess.run(  # noqa: S603 - a command of ours
                [COMPILER, *FLAGS, "-I", directory, "-o", made, *sources],
                check=True,
                capture_output=True,
                timeout=COMPILE_TIMEOUT,
            )
            made.replace(program)  # Whole or not at all, whoever else compiles it just now.
    except subprocess.CalledProcessError as error:
        complaints: bytes = error.stderr
        raise ConfigurationError(
            f"the launcher can't be compiled: {complaints.decode(errors='replace').strip()}"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"the launcher can't be compiled: {error}") from error
    return program
