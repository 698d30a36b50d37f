"""The program that runs in a probe's container: tries to exceed a limit, or to get out, and tells what held.

It is sent there as text, and imports nothing of trio_exec. Its arguments are the name of an attempt, and an object
with its numbers, as JSON. It writes objects, one a line, at once: it may not get to its end. The first names the kernel
that it sees. What they mean, `judging` knows.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import resource
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

MIB = 1024 * 1024
STEP = 4 * MIB
"""Bytes between two reports of progress."""


def tell(**facts: Any) -> None:
    """Reports, at once."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def outcome(attempt: Callable[[], Any]) -> str:
    """The name of the error that an attempt meets; "done" where it meets none."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def status() -> dict[str, str]:
    """What the kernel says of this process."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


# Limits.


def memory(bytes: int) -> None:  # noqa: A002 - as it is called where it comes from
    """Takes so much memory, a page at a time."""
    kept: list[mmap.mmap] = []
    page = os.urandom(mmap.PAGESIZE)
    tell(taken=0, swapped=0)
    for taken in range(STEP, bytes + 1, STEP):
        try:
            block = mmap.mmap(-1, STEP)
        except (OSError, MemoryError):
            break
        for start in range(0, STEP, mmap.PAGESIZE):
            block[start : start + mmap.PAGESIZE] = page
        kept.append(block)
        tell(taken=taken, swapped=int(status().get("VmSwap", "0 kB").split()[0]) * 1024)


def cpu(seconds: float, processes: int) -> None:
    """Computes in several processes at once."""
    start = time.monotonic()
    children: list[int] = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            while time.monotonic() < start + seconds:
                pass
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    tell(used=used.ru_utime + used.ru_stime, wall=time.monotonic() - start)


def pids(processes: int) -> None:
    """Starts processes that do nothing."""
    children: list[int] = []
    refused = None
    for _ in range(processes):
        try:
            child = os.fork()
        except OSError as error:
            refused = errno.errorcode.get(error.errno or 0, str(error))
            break
        if child == 0:
            signal.pause()
            os._exit(0)
        children.append(child)
        tell(processes=len(children))
    for child in children:
        os.kill(child, signal.SIGKILL)
    tell(processes=len(children), refused=refused)


def workspace(bytes: int, files: int) -> None:  # noqa: A002 - likewise
    """Writes more bytes than there may be, and then more files."""
    block = os.urandom(65536)
    written = 0
    refused: str | None = None
    with open("fill", "wb", buffering=0) as file:
        while written < bytes and refused is None:
            try:
                written += file.write(block)
            except OSError as error:
                refused = errno.errorcode.get(error.errno or 0, str(error))
            if written % STEP == 0:
                tell(written=written)
    os.unlink("fill")
    tell(written=written, refused=refused)
    refused, made = None, 0
    while made < files and refused is None:
        refused = outcome(lambda: open(f"file{made}", "wb").close())  # noqa: B023 - called at once
        if refused == "done":
            refused, made = None, made + 1
    tell(files=made, refused=refused)


# Ways out.


def network(addresses: list[list[Any]], name: str) -> None:
    """Looks for an interface, a way to addresses, and a name server."""
    with open("/proc/net/dev", encoding="ascii") as file:
        interfaces = [line.partition(":")[0].strip() for line in file if ":" in line]
    reached: list[list[Any]] = []
    for host, port in addresses:
        with socket.socket() as sock:
            sock.settimeout(0)
            result = errno.errorcode.get(sock.connect_ex((host, port)), "done")
        reached.append([host, result])
    tell(interfaces=interfaces, reached=reached, resolved=None)
    signal.alarm(5)  # Which ends this process: a network is there then, and what was told stands.
    try:
        resolved = socket.getaddrinfo(name, 80)[0][4][0]
    except OSError:
        resolved = None
    signal.alarm(0)
    tell(interfaces=interfaces, reached=reached, resolved=resolved)


def call(number: int, arguments: list[int]) -> str:
    """How the kernel answers a system call."""
    libc = ctypes.CDLL(None, use_errno=True)
    ctypes.set_errno(0)
    padded = [ctypes.c_long(value) for value in [*arguments, *[0] * (6 - len(arguments))]]
    result = libc.syscall(ctypes.c_long(number), *padded)
    return "done" if result != -1 else errno.errorcode.get(ctypes.get_errno(), "unknown")


def privileges(numbers: dict[str, dict[str, int]], arguments: dict[str, list[int]], families: dict[str, int]) -> None:
    """Looks at what this process is allowed, and tries what it should not be.

    Args:
        numbers: of system calls, by machine and name.
        arguments: of those that take some.
        families: of sockets.
    """
    lines = status()
    calls = {
        name: call(number, arguments.get(name, [])) for name, number in numbers.get(platform.machine(), {}).items()
    }
    for name, family in families.items():
        calls[name] = outcome(lambda: socket.socket(family, socket.SOCK_RAW).close())  # noqa: B023 - called at once
    tell(
        uids=lines["Uid"].split(),
        groups=lines["Groups"].split(),
        capabilities={
            name: lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if name in lines
        },
        no_new_privileges=lines.get("NoNewPrivs"),
        seccomp=lines.get("Seccomp"),
        calls=calls,
        become_root=outcome(lambda: os.setuid(0)),
    )


IN_MEMORY = {"devpts", "mqueue", "proc", "tmpfs"}


def mounts() -> Iterator[tuple[str, str, list[str]]]:
    """What is mounted: where, of which kind, with which options."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fields = before.split()
            kind, _, superblock = after.split(" ", 2)
            options = fields[5].split(",")
            # Either of the two makes it read-only.
            yield fields[4], kind, options if "ro" in options else superblock.strip().split(",")


def shows(path: str) -> bool:
    """Whether something is in a file or a folder that should look empty."""
    try:
        if os.path.isdir(path):
            return bool(os.listdir(path))
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False


def files(masked: list[str], writable: list[str], devices: list[str], sockets: list[str]) -> None:
    """Looks for what can be written to, and for what tells of the machine."""
    mounted = list(mounts())
    # Of those in memory, modes say who may write; disks, cgroups and the kernel's own are not to be writable at all.
    open_mounts = [
        where
        for where, kind, options in mounted
        if "ro" not in options and (kind not in IN_MEMORY or os.access(where, os.W_OK)) and where not in masked
    ]
    open_folders = [
        folder
        for folder, _, _ in walk("/")
        if os.access(folder, os.W_OK) and not any(within(folder, other) for other in writable)
    ]
    found = [
        path
        for folder, _, names in os.walk("/dev")
        for path in (os.path.join(folder, name) for name in names)
        if is_device(path) and path not in devices and not path.startswith("/dev/pts/")
    ]
    settings = [path for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger") if os.access(path, os.W_OK)]
    tell(
        root_read_only=any(where == "/" and "ro" in options for where, _, options in mounted),
        mounts=[where for where in open_mounts if not any(within(where, other) for other in [*writable, "/dev"])],
        folders=open_folders,
        devices=found,
        settings=settings,
        shown=[path for path in masked if shows(path)],
        sockets=[path for path in sockets if os.path.exists(path)],
        make_device=outcome(lambda: os.mknod("device", stat.S_IFBLK | 0o600, os.makedev(8, 0))),
    )


def within(path: str, folder: str) -> bool:
    """Whether it is that folder, or is in it."""
    return path == folder or path.startswith(f"{folder}/")


def walk(top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """All folders of the image, but not what the kernel shows."""
    for folder, folders, names in os.walk(top):
        if folder == "/":
            folders[:] = [name for name in folders if name not in {"proc", "sys"}]
        yield folder, folders, names


def is_device(path: str) -> bool:
    """Whether it is a device."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)


def processes() -> None:
    """Looks for other processes, and tries to reach the launcher."""
    own = {os.getpid(), 1}
    others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    tell(
        others=len(others),
        hostname=socket.gethostname(),
        kill=outcome(lambda: os.kill(1, signal.SIGTERM)),
        memory=outcome(lambda: open("/proc/1/mem", "rb").close()),
        root=outcome(lambda: os.listdir("/proc/1/root")),
        output=outcome(lambda: os.close(os.open("/proc/1/fd/1", os.O_WRONLY | os.O_NONBLOCK))),
    )


ATTEMPTS: dict[str, Callable[..., None]] = {
    it.__name__: it for it in (memory, cpu, pids, workspace, network, privileges, files, processes)
}

if __name__ == "__main__":
    tell(kernel=os.uname().release)
    ATTEMPTS[sys.argv[1]](**json.loads(sys.argv[2]))
