"""What programs can't do, tried for real; and that what they may do still works."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from tests.kubernetes import on_kubernetes
from tests.programs import JAVA_MAIN
from tests.sessions import LIMITS, RESOURCES
from tests.support import Client
from trio_exec.executor import seccomp
from trio_exec.executor.docker.hardening import HARDENING, Hardening
from trio_exec.executor.docker.labels import (
    HOST_LABEL,
    INSTANCE_LABEL,
    LANGUAGE_LABEL,
    LIFETIME_LABEL,
    SESSION_LABEL,
    USER_LABEL,
)
from trio_exec.executor.machine import EXTRA_CAPABILITIES, Machine
from trio_exec.limits import MIB
from trio_exec.settings import Settings


async def test_the_engine_confirms_every_field(client: Client) -> None:  # noqa: PLR0915 - a list of fields
    async with client.session(language="python", code="input()") as session:
        await session.until_waiting()
        docker_client = docker.from_env()
        filters = {"label": f"{SESSION_LABEL}={session.run.session_id}"}
        (listed,) = docker_client.api.containers(filters=filters)
        inspected: Any = docker_client.api.inspect_container(listed["Id"])
        machine = Machine.of(docker_client.api.info())
        docker_client.close()
    config, host = inspected["Config"], inspected["HostConfig"]

    assert host["Memory"] == host["MemorySwap"] == 200 * MIB
    assert (host["CpuPeriod"], host["CpuQuota"], host["NanoCpus"]) == (100_000, 50_000, 0)
    assert host["PidsLimit"] == 32
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    added = {name.removeprefix("CAP_") for name in host["CapAdd"]}
    assert added - set(EXTRA_CAPABILITIES) == {"KILL", "SETGID", "SETPCAP", "SETUID"}, "the launcher's, see identity.c"
    assert host["Privileged"] is False
    assert host["SecurityOpt"][0] == "no-new-privileges"
    assert json.loads(host["SecurityOpt"][1].removeprefix("seccomp=")) == seccomp.profile(machine)
    assert len(host["SecurityOpt"]) == 2
    assert host["NetworkMode"] == "none"
    assert config["NetworkDisabled"] is True
    uid = int(config["Labels"][USER_LABEL])
    assert uid in Settings().uid_range
    assert host["Tmpfs"] == {
        "/workspace": f"rw,exec,nosuid,nodev,size=33554432,nr_inodes=4096,mode=0755,uid={uid},gid={uid}"
    }
    if machine.charges_sockets:
        assert not host.get("Sysctls")  # Newer engines leave out what is empty.
    else:
        assert host["Sysctls"] == {
            "net.core.somaxconn": "3",
            "net.ipv4.tcp_rmem": "4096 4096 4096",
            "net.ipv4.tcp_wmem": "4096 4096 4096",
        }
    assert host["ShmSize"] == host["Memory"] == 200 * MIB
    assert host["IpcMode"] == "private"
    assert host["CgroupnsMode"] == "private"
    assert host["PidMode"] == host["UTSMode"] == host["UsernsMode"] == ""
    assert not host["Binds"]
    assert inspected["Mounts"] == []
    assert not host["Devices"]
    assert not host["PortBindings"]
    assert host["LogConfig"] == {"Type": "none", "Config": {}}
    assert host["AutoRemove"] is True
    assert host["RestartPolicy"]["Name"] in {"", "no"}
    assert host["OomScoreAdj"] == 500
    assert host["OomKillDisable"] in {None, False}
    assert not host["Init"]
    assert {(limit["Name"], limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]} == {
        ("core", 1, 1),
        ("memlock", 65536, 65536),
        ("msgqueue", 0, 0),
        ("nofile", 1024, 1024) if machine.charges_sockets else ("nofile", 128, 128),
    }
    assert set(host["MaskedPaths"]) == {
        *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys"),
        *("/proc/latency_stats", "/proc/pressure", "/proc/sched_debug", "/proc/schedstat", "/proc/scsi"),
        *("/proc/sys/kernel/pty", "/proc/timer_list", "/proc/timer_stats", "/proc/vmstat"),
        *("/sys/devices/virtual/powercap", "/sys/firmware"),
        *(f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in range(machine.processors)),
    }
    assert set(host["ReadonlyPaths"]) == {
        *("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"),
    }
    assert config["User"] == HARDENING.user == "0:0"
    assert config["Cmd"][1:] == [str(uid), *machine.charged]
    assert config["Entrypoint"] == ["/launcher"]
    assert config["StopSignal"] == HARDENING.stop_signal == "SIGKILL"
    assert (config["Tty"], config["OpenStdin"], config["StdinOnce"]) == (False, True, True)
    labels = config["Labels"]
    assert labels[INSTANCE_LABEL] == client.server.instance
    assert labels[LANGUAGE_LABEL] == "python"
    assert labels[SESSION_LABEL] == session.run.session_id
    assert labels[LIFETIME_LABEL].isdecimal()
    assert not labels[HOST_LABEL]  # The test's server is in no container.


LIMITS_SEEN = """
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
int main() {
    // The very first thing that it does is to look, then to use what it gets.
    for (auto path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        std::string line;
        if (std::getline(std::ifstream(path), line)) std::cout << line << std::endl;
    }
    timespec wall, now, used;
    clock_gettime(CLOCK_MONOTONIC, &wall);
    do clock_gettime(CLOCK_MONOTONIC, &now); while (now.tv_sec - wall.tv_sec < 2);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    double elapsed = now.tv_sec - wall.tv_sec + (now.tv_nsec - wall.tv_nsec) / 1e9;
    std::cout << ((used.tv_sec + used.tv_nsec / 1e9) / elapsed < 0.75) << std::endl;
}
"""


async def test_the_run_limits_are_in_force_before_the_first_instruction(client: Client) -> None:
    run = await client.run(language="cpp", code=LIMITS_SEEN)

    assert (run.stdout, run.stderr) == (f"{200 * MIB}\n1\n", "")


HEAVY = """#include <bits/stdc++.h>
int main() { std::cout << std::format("{}", std::regex_match("ab", std::regex("[a-c]+"))) << std::endl; }
"""


async def test_heavy_headers_compile_although_they_would_not_fit_the_run_limits(client: Client) -> None:
    run = await client.run(language="cpp", code=HEAVY)

    assert (run.stdout, run.stderr) == ("true\n", "")


async def python(client: Client, code: str, **options: Any) -> str:
    run = await client.run(language="python", code=code, **options)
    assert run.final.exit_code == 0, run.stderr
    return run.stdout


async def test_no_privileges(client: Client) -> None:
    out = await python(client, "print(open('/proc/self/status').read())")

    fields = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    (uid,) = set(fields["Uid"].split("\t")) | set(fields["Gid"].split("\t"))
    assert int(uid) in Settings().uid_range
    # Some engines list a process's own group twice.
    assert set(fields["Groups"].split()) <= {fields["Gid"].split()[0]}
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


async def test_nothing_but_the_workspace_can_be_written_to(client: Client) -> None:
    code = """
import os
writable = []
for root in ["/", "/etc", "/usr/lib", "/var/tmp", "/run", "/dev", "/dev/mqueue", "/home", "/root", "/proc", "/sys",
             "/opt", "/launcher", "/dev/pts", "/sys/fs/cgroup", "/var/lib", "/proc/1"]:
    try:
        open(os.path.join(root, "x"), "w").write("x")
        writable.append(root)
    except OSError: pass
for path in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/etc/group", "/dev/passwd",
             "/dev/group", "/launcher",
             "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/oom_score_adj"]:
    try:
        open(path, "a").write("x")
        writable.append(path)
    except OSError: pass
print(writable)
import tempfile
with tempfile.NamedTemporaryFile() as file: print(os.path.realpath(file.name).startswith("/workspace/.tmp/"))
open("own", "w").write("fine")
"""
    assert await python(client, code) == "[]\nTrue\n"


async def test_the_workspace_has_an_end_in_bytes_and_in_files(client: Client) -> None:
    code = """
import errno, os
written = 0
try:
    for number in range(100):
        with open(f"big{number}", "wb", buffering=0) as file:
            for _ in range(16): written += file.write(b"x" * 65536)
except OSError as error: print(errno.errorcode[error.errno], written // 2**20)
for number in range(100):
    if os.path.exists(f"big{number}"): os.remove(f"big{number}")
count = 0
try:
    while True:
        open(f"f{count}", "w").close(); count += 1
except OSError as error: print(errno.errorcode[error.errno], 3000 < count < 4096)
"""
    assert await python(client, code) == "ENOSPC 31\nENOSPC True\n"


async def test_a_fork_bomb_stops_at_the_limit(client: Client) -> None:
    code = """
import os, time
count = 1
try:
    while True:
        if os.fork() == 0: time.sleep(60); os._exit(0)
        count += 1
except OSError as error: print(error.strerror, count)
"""
    assert await python(client, code) == "Resource temporarily unavailable 31\n", "the launcher is the 32nd"


async def test_no_network_but_loopback(client: Client) -> None:
    code = """
import socket, threading
try: socket.create_connection(("10.0.0.1", 80), timeout=2)
except OSError as error: print(error.strerror)
try: socket.getaddrinfo("example.org", 80)
except OSError as error: print("no names")
print([name for _, name in socket.if_nameindex()] if False else sorted(
    line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]))
for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "localhost"), (socket.AF_UNIX, None)]:
    server = socket.socket(family)
    server.bind((host, 0) if host else "\\0abstract")
    server.listen()
    threading.Thread(target=lambda: server.accept()[0].sendall(b"pong")).start()
    client = socket.socket(family)
    client.connect(server.getsockname())
    print(client.recv(4))
"""
    assert await python(client, code) == "Network is unreachable\nno names\n['lo']\nb'pong'\nb'pong'\nb'pong'\n"


async def test_frames_cannot_be_forged_and_the_launcher_cannot_be_harmed(client: Client) -> None:
    code = """
import ctypes, os, signal
for path in ["/proc/1/fd/0", "/proc/1/fd/1", "/proc/1/mem", "/proc/1/environ", "/proc/1/maps"]:
    for mode in (os.O_RDONLY, os.O_WRONLY):
        try: os.open(path, mode); print("opened", path)
        except PermissionError: pass
        except FileNotFoundError: pass
try: print(os.listdir("/proc/1/fd"))
except PermissionError: print("closed")
for number in range(1, 65):
    try: os.kill(1, number)
    except (PermissionError, OSError): pass
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, 1, 0, 0), os.strerror(ctypes.get_errno()))
print(libc.ptrace(16, os.getpid() - 1, 0, 0), os.strerror(ctypes.get_errno()))
print(sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")) <= 4)
fd = os.pidfd_open(1)
try: signal.pidfd_send_signal(fd, signal.SIGKILL)
except OSError as error: print(error.strerror)
print("alive")
"""
    out = await python(client, code)

    assert out.splitlines() == [
        "closed",
        "-1 Operation not permitted",
        "-1 Operation not permitted",
        "['0', '1', '2'] True",
        # In a pod it is the same user, so the signal is sent; the kernel keeps it from PID 1.
        *([] if on_kubernetes() else ["Operation not permitted"]),
        "alive",
    ]


DANGEROUS_CALLS = {
    # Numbers are x86-64's; all take arguments that would fail otherwise than with EPERM, or succeed.
    "add_key": 248,
    "bpf": 321,
    "chroot": 161,
    "io_uring_setup": 425,
    "kcmp": 312,
    "keyctl": 250,
    "memfd_secret": 447,
    "mount": 165,
    "mq_open": 240,
    "msgget": 68,
    "open_by_handle_at": 304,
    "perf_event_open": 298,
    "pidfd_getfd": 438,
    "pivot_root": 155,
    "process_vm_readv": 310,
    "ptrace": 101,
    "request_key": 249,
    "semget": 64,
    "setns": 308,
    "shmget": 29,
    "swapon": 167,
    "umount2": 166,
    "unshare": 272,
    "userfaultfd": 323,
    "vmsplice": 278,
}


async def test_dangerous_system_calls_are_refused(client: Client) -> None:
    assert set(DANGEROUS_CALLS) == {*seccomp.DENIED, *seccomp.DENIED_WHERE_NOT_CHARGED}
    docker_client = docker.from_env()
    allowed = seccomp.DENIED_WHERE_NOT_CHARGED if Machine.of(docker_client.api.info()).charges_ipc else ()
    docker_client.close()
    refused = {name: number for name, number in DANGEROUS_CALLS.items() if name not in allowed}
    code = f"""
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
assert platform.machine() == "x86_64"
for name, number in {refused!r}.items():
    ctypes.set_errno(0)
    result = libc.syscall(number, 0, 0, 0, 0, 0, 0)
    if (result, ctypes.get_errno()) != (-1, errno.EPERM): print(name, result, errno.errorcode.get(ctypes.get_errno()))
clone, clone3 = 56, 435
for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
    result = libc.syscall(clone, flag | 17, 0, 0, 0, 0)
    if (result, ctypes.get_errno()) != (-1, errno.EPERM): print("clone", hex(flag), result)
print(libc.syscall(clone3, 0, 0), errno.errorcode[ctypes.get_errno()])
"""
    assert await python(client, code) == "-1 ENOSYS\n"


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [("AF_NETLINK", 3, 0), ("AF_PACKET", 3, 0), ("AF_VSOCK", 1, 0), ("AF_ALG", 5, 0), ("AF_BLUETOOTH", 3, 1)],
)
async def test_socket_families_are_few(client: Client, family: str, kind: int, protocol: int) -> None:
    code = f"""
import socket
try: print(socket.socket(socket.{family}, {kind}, {protocol}))
except PermissionError: print("refused")
"""
    assert await python(client, code) == "refused\n"


SOCKETS = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
HIGH = 1 << 32  # The kernel does not look at these bits of an int.
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(it) for it in arguments])
    return errno.errorcode[ctypes.get_errno()] if result < 0 else "fine"
for high in (0, HIGH):
    print("stream", *[call(41, family | high, 1 | 0o2000000, protocol | high)
                      for family in (1, 2, 10) for protocol in (0, 6)])
    print("raw", *[call(41, 2 | high, kind | high, protocol)
                   for kind, protocol in ((3, 1), (10, 3), (5, 132), (2, 1), (1, 262))])
    print("others", *[call(41, family | high, kind, 0) for family in (16, 17, 38, 40) for kind in (1, 2, 3, 5)])
print("datagram", *{call(41, family, 2, protocol) for family in (2, 10) for protocol in (0, 17)})
both = socket.socketpair()
for ends in (both, (socket.create_server(("127.0.0.1", 0)),)):
    end = ends[0].fileno()
    program = (ctypes.c_char * 8)(6, 0, 0, 0, 0, 0, 0, 0)
    class Filter(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("at", ctypes.c_void_p)]
    filter = Filter(1, ctypes.addressof(program))
    print("filters", *{call(54, end, 1 | level, option | high, ctypes.addressof(filter), 16)
                       for option in (26, 44, 50, 51, 52) for high in (0, HIGH) for level in (0, HIGH)})
    before = [ends[0].getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)]
    size = ctypes.c_int(1 << 24)
    print("sizes", *{call(54, end, 1, option | high, ctypes.addressof(size), 4)
                     for option in (7, 8, 32, 33) for high in (0, HIGH)})
    print(before == [ends[0].getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_RCVBUF, socket.SO_SNDBUF)])
end = ends[0]
end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
end.settimeout(1)
try: end.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
except PermissionError: print("no tls")
"""


async def test_sockets_are_of_few_kinds_and_options(client: Client) -> None:
    out = await python(client, SOCKETS)

    # A protocol that is not the family's own is the kernel's to refuse.
    kinds = "stream fine EPROTONOSUPPORT fine fine fine fine\nraw{}\nothers{}\n".format(" EPERM" * 5, " EPERM" * 16)
    docker_client = docker.from_env()
    charged = Machine.of(docker_client.api.info()).charges_sockets
    docker_client.close()
    options = "filters EPERM\nsizes fine\nTrue\n"
    assert out == 2 * kinds + f"datagram {'fine' if charged else 'EPERM'}\n" + 2 * options + "no tls\n"


@pytest.mark.parametrize("charged", [True, False])
def test_datagrams_depend_on_whether_the_machine_charges_them(charged: bool) -> None:
    machine = Machine(charges_sockets=charged)
    rules = [rule for rule in seccomp.profile(machine)["syscalls"] if rule["names"] == ["socket"]]
    kinds = {rule["args"][1]["valueTwo"] for rule in rules if len(rule["args"]) > 1}
    hardening = Hardening(machine)
    config = hardening.host_config(LIMITS, RESOURCES, None, 50000)
    (open_files,) = [limit.hard for limit in config["ulimits"] if limit.name == "nofile"]

    assert kinds == ({1, 2} if charged else {1})
    assert open_files == (1024 if charged else 128)
    assert bool(config["sysctls"]) is not charged
    assert seccomp.profile() == seccomp.profile(Machine()), "what is not known is not there"
    assert not Machine.of({}).charges_sockets


@pytest.mark.parametrize(
    ("kernel", "charges"),
    [
        ("6.18.44-fc-v657", True),
        ("5.15.0-91-generic", True),
        ("10.0", True),
        ("5.14.21", False),
        ("4.19.0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_system_v_ipc_depends_on_whether_the_machine_charges_it(kernel: str, charges: bool) -> None:
    machine = Machine.of({"KernelVersion": kernel})
    rules = {name: rule for rule in seccomp.profile(machine)["syscalls"] for name in rule["names"]}

    assert machine.charges_ipc is charges
    assert ({"msgget", "semget", "shmget", "shmctl"} <= set(rules)) is charges
    assert not charges or rules["shmget"]["args"], "huge pages are the machine's"
    assert not Machine().charges_ipc


async def test_programs_lower_their_limits_but_for_that_of_core_dumps(client: Client) -> None:
    code = """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None, use_errno=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (50, 60))
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.prlimit(0, resource.RLIMIT_NOFILE, (40, 50)))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
# A handler that the machine pipes core dumps to starts, as root, for every limit but 1.
limit = (ctypes.c_ulong * 2)(0, 1)
for call in (lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
             lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 1)),
             lambda: libc.syscall(160, 4, limit),
             lambda: libc.syscall(302, 0, ctypes.c_long(4 | 1 << 32), limit, 0),
             lambda: libc.syscall(302, 0, 4, limit, limit)):
    call()
    print(resource.getrlimit(resource.RLIMIT_CORE), end=" ")
try: resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))
except PermissionError: print("refused")
if os.fork() == 0: os.abort()
print(os.WTERMSIG(os.wait()[1]) == signal.SIGABRT, os.listdir())
"""
    assert await python(client, code) == (
        "(50, 60) (50, 60)\n(40, 50)\n" + 5 * "(1, 1) " + "refused\nTrue ['main.py', '.tmp']\n"
    )


async def test_the_machine_is_not_to_be_watched(client: Client) -> None:
    code = """
import os
for name in ["interrupts", "vmstat", "schedstat", "sched_debug", "timer_list", "pressure",
             "keys", "sys/kernel/pty", "kcore", "scsi", "acpi", "asound"]:
    path = "/proc/" + name
    try: print(name, os.listdir(path) if os.path.isdir(path) else open(path).read(10)) if os.path.exists(path) else None
    except PermissionError: pass
print(os.cpu_count() > 0, len(open("/proc/meminfo").read()) > 100)
"""
    out = await python(client, code)
    assert [line for line in out.splitlines() if not line.endswith((" ", " []"))] == ["True True"]


async def test_the_user_has_a_name_and_a_home(client: Client) -> None:
    code = """
import getpass, grp, os, pathlib, pwd, subprocess
print(getpass.getuser(), os.path.expanduser("~"), pathlib.Path.home(), pathlib.Path("main.py").owner())
print(grp.getgrgid(os.getgid()).gr_name, pwd.getpwuid(0).pw_name, pwd.getpwnam("nobody").pw_uid)
print(subprocess.run(["id"], capture_output=True, text=True).stdout.split("(")[1].split(")")[0])
"""
    assert await python(client, code) == ("runner /workspace /workspace runner\nrunner root 65534\nrunner\n")
    run = await client.run(
        language="javascript", code="const it = require('os').userInfo(); console.log(it.username, it.homedir)"
    )
    assert (run.stdout, run.stderr) == ("runner /workspace\n", "")
    main = 'System.out.println(System.getProperty("user.name") + " " + System.getProperty("user.home"));'
    run = await client.run(language="java", code=JAVA_MAIN % ("Main", main))
    assert (run.stdout, run.stderr) == ("runner /workspace\n", "")


STANDARD_LIBRARIES = {
    "python": """
import asyncio, concurrent.futures, ctypes, curses, decimal, hashlib, json, lzma, multiprocessing, os, readline
import shutil, socket, sqlite3, ssl, subprocess, sys, tempfile, threading, time, zoneinfo, zlib

async def echo():
    async def handle(reader, writer):
        writer.write(await reader.readline()); await writer.drain(); writer.close()
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"asyncio\\n")
    print((await reader.readline()).decode(), end="")
    process = await asyncio.create_subprocess_exec("echo", "child", stdout=asyncio.subprocess.PIPE)
    print((await process.communicate())[0].decode(), end="")

if __name__ == "__main__":
    asyncio.run(echo())
    with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(abs, range(10))))
    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))
    print(subprocess.run(["sh", "-c", "echo out; exit 3"], capture_output=True))
    print(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone())
    print(zoneinfo.ZoneInfo("Europe/Berlin"), ssl.OPENSSL_VERSION.split()[0])
    shutil.copyfile(__file__, "copy.py"); os.sendfile; print(os.cpu_count() > 0, time.tzname[0])
""",
    "javascript": """
const { Worker } = require('worker_threads');
const { execFileSync, spawn } = require('child_process');
const net = require('net'); const fs = require('fs'); const zlib = require('zlib'); const crypto = require('crypto');
(async () => {
  const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
  console.log(await new Promise((resolve) => worker.once('message', resolve)));
  console.log(execFileSync('echo', ['child']).toString().trim());
  const server = net.createServer((socket) => socket.end('pong')).listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1');
    client.on('data', (data) => { console.log(String(data)); server.close(); });
  });
  await new Promise((resolve) => server.once('close', resolve));
  await fs.promises.writeFile('a', 'x'); await fs.promises.copyFile('a', 'b');
  console.log(zlib.gunzipSync(zlib.gzipSync('zip')).toString());
  console.log(crypto.createHash('sha1').update('').digest('hex').length);
  console.log((await import('node:os')).availableParallelism() > 0, new Intl.NumberFormat('de').format(1234.5));
})();
""",
    "java": """
import java.net.*; import java.nio.file.*; import java.util.concurrent.*; import java.util.stream.*;
public class Main {
    public static void main(String[] args) throws Exception {
        System.out.println(IntStream.range(0, 1000).parallel().sum());
        System.out.println(new ForkJoinPool(4).submit(() -> 42).get());
        try (var pool = Executors.newVirtualThreadPerTaskExecutor()) {
            System.out.println(pool.submit(() -> Thread.currentThread().isVirtual()).get());
        }
        var process = new ProcessBuilder("echo", "child").start();
        System.out.print(new String(process.getInputStream().readAllBytes()));
        try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            var thread = new Thread(() -> {
                try (var socket = server.accept()) { socket.getOutputStream().write("pong".getBytes()); }
                catch (Exception error) { throw new RuntimeException(error); }
            });
            thread.start();
            try (var socket = new Socket(server.getInetAddress(), server.getLocalPort())) {
                System.out.println(new String(socket.getInputStream().readAllBytes()));
            }
        }
        Files.writeString(Path.of("a"), "file");
        System.out.println(Files.readString(Files.createTempFile("x", "y")).isEmpty());
        System.out.println(java.time.ZoneId.of("Europe/Berlin"));
    }
}
""",
    "cpp": """
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <future>
#include <iostream>
#include <regex>
#include <thread>
int main() {
    std::atomic<int> sum = 0;
    { std::vector<std::jthread> threads; for (int i = 0; i < 8; i++) threads.emplace_back([&] { sum += i_; });
    }
    return 0;
}
""".replace("i_", "1").replace(
        "    return 0;",
        """    std::cout << sum << "\\n" << std::async(std::launch::async, [] { return 42; }).get() << "\\n";
    std::cout << std::format("{:>5}|{:x}", "a", 255) << "\\n" << std::regex_match("abc", std::regex("[a-c]+")) << "\\n";
    std::ofstream("file") << "x"; std::cout << std::filesystem::file_size("file") << "\\n" << std::flush;
    return system("echo child") / 256;""",
    ),
}

EXPECTED = {
    "python": "asyncio\nchild\n45\n[1, 2]\n"
    "CompletedProcess(args=['sh', '-c', 'echo out; exit 3'], returncode=3, stdout=b'out\\n', stderr=b'')\n"
    "(42,)\nEurope/Berlin OpenSSL\nTrue UTC\n",
    "javascript": "42\nchild\npong\nzip\n40\ntrue 1.234,5\n",
    "java": "499500\n42\ntrue\nchild\npong\ntrue\nEurope/Berlin\n",
    "cpp": "8\n42\n    a|ff\n1\n1\nchild\n",
}


@pytest.mark.parametrize("language", STANDARD_LIBRARIES)
async def test_the_standard_libraries_work_in_there(client: Client, language: str) -> None:
    run = await client.run(language=language, code=STANDARD_LIBRARIES[language])

    assert (run.stdout, run.stderr) == (EXPECTED[language], "")
    assert run.final.exit_code == 0


async def test_sessions_share_nothing(client: Client) -> None:
    code = """
import os
found = [path for path in ["/workspace/left", "/dev/shm/left", "/tmp/left"] if os.path.exists(path)]
for path in ["/workspace/left", "/dev/shm/left", "/tmp/left"]: open(path, "w").close()
print(found, len([pid for pid in os.listdir("/proc") if pid.isdecimal()]))
"""
    assert [await python(client, code) for _ in range(2)] == ["[] 2\n"] * 2
