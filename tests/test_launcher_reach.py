"""No program reaches its launcher, whatever it names it by; and none uses up what another session needs."""

from __future__ import annotations

import time

import pytest
import trio

from tests.programs import JAVA_MAIN
from tests.support import Client, Run

LIMIT = 15
"""Seconds in which a session must end that tries all of this: a launcher that was slowed down would take longer."""

EVERY_CALL = r"""
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <sstream>
#include <string>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define A(x) ((long)(x))

std::string read(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// What others may see of it: limits, niceness, processors, and that it is there.
std::string launcher() {
    std::string stat = read("/proc/1/stat"), nice;
    std::istringstream fields(stat.substr(stat.rfind(')')));
    for (int field = 0; field <= 17; field++) fields >> nice;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    syscall(SYS_sched_getaffinity, 1, sizeof cpus, &cpus);
    sched_param param{};
    return read("/proc/1/limits") + nice + " " + std::to_string(CPU_COUNT(&cpus)) + " " +
           std::to_string(syscall(SYS_sched_getscheduler, 1)) + std::to_string(syscall(SYS_sched_getparam, 1, &param)) +
           std::to_string(param.sched_priority) + " " + std::to_string(syscall(SYS_ioprio_get, 1, 1)) + " " +
           std::to_string(syscall(SYS_getpgid, 1)) + read("/proc/1/oom_score_adj");
}

int reached = 0;

// No such process, no permission, and nonsense are all fine. To be told of success is not.
void refused(const char* what, long result) {
    if (result == -1 && (errno == EPERM || errno == EACCES || errno == ESRCH || errno == EINVAL || errno == ENOSYS ||
                         errno == EBADF || errno == ENOTTY))
        return;
    std::printf("%s: %ld %s\n", what, result, std::strerror(errno));
    reached++;
}

void attack(long pid) {
    std::string name = std::to_string(pid) + " ";
    auto call = [&](const char* what, long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                    long f = 0) {
        errno = 0;
        long result = syscall(number, a, b, c, d, e, f);
        refused((name + what).c_str(), result);
    };
    siginfo_t info{};
    info.si_code = SI_QUEUE;
    // As a shell, it is in its jobs' session, whose members may continue each other. It takes no notice.
    for (int call : {SYS_kill, SYS_tkill}) syscall(call, pid, SIGCONT);
    syscall(SYS_tgkill, pid, pid, SIGCONT);
    for (int signal : {SIGKILL, SIGSTOP, SIGTERM, SIGCHLD, SIGWINCH, 34, 64, 0}) {
        call("kill", SYS_kill, pid, signal);
        call("tkill", SYS_tkill, pid, signal);
        call("tgkill", SYS_tgkill, pid, pid, signal);
        call("rt_sigqueueinfo", SYS_rt_sigqueueinfo, pid, signal, A(&info));
        call("rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, pid, pid, signal, A(&info));
        int fd = syscall(434 /* pidfd_open */, pid, 0);
        if (fd >= 0) {
            call("pidfd_send_signal", 424, fd, signal, 0, 0);
            call("pidfd_getfd", 438, fd, 0, 0);
            call("process_madvise", 440, fd, 0, 0, 0, 0);
            call("process_mrelease", 448, fd, 0);
            call("setns", SYS_setns, fd, CLONE_NEWPID);
            close(fd);
        }
    }
    call("kill group", SYS_kill, -pid, SIGKILL);
    rlimit64 limit{0, 0};
    for (int resource = 0; resource < 16; resource++)
        call("prlimit64", SYS_prlimit64, pid, resource, resource == RLIMIT_CORE ? 0 : A(&limit), A(&limit));
    for (int nice : {19, 5, -5, 0}) {
        call("setpriority process", SYS_setpriority, PRIO_PROCESS, pid, nice);
        call("setpriority group", SYS_setpriority, PRIO_PGRP, pid, nice);
    }
    for (int priority : {3 << 13 | 7, 2 << 13 | 7, 1 << 13}) {
        call("ioprio_set process", SYS_ioprio_set, 1, pid, priority);
        call("ioprio_set group", SYS_ioprio_set, 2, pid, priority);
    }
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    sched_param param{};
    struct { unsigned size, policy; unsigned long flags; int nice; unsigned priority; unsigned long times[3]; }
        attributes{48, SCHED_IDLE, 0, 0, 0, {}};
    call("sched_setaffinity", SYS_sched_setaffinity, pid, sizeof cpus, A(&cpus));
    call("sched_setparam", SYS_sched_setparam, pid, A(&param));
    for (int policy : {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO})
        call("sched_setscheduler", SYS_sched_setscheduler, pid, policy, A(&param));
    call("sched_setattr", SYS_sched_setattr, pid, A(&attributes), 0);
    for (long request : {16L /* ATTACH */, 0x4206L /* SEIZE */})
        call("ptrace", SYS_ptrace, request, pid, 0, 0);
    char buffer[16];
    iovec here{buffer, sizeof buffer}, there{(void*)0x400000, sizeof buffer};
    call("process_vm_readv", SYS_process_vm_readv, pid, A(&here), 1, A(&there), 1, 0);
    call("process_vm_writev", SYS_process_vm_writev, pid, A(&here), 1, A(&there), 1, 0);
    call("kcmp", SYS_kcmp, pid, getpid(), 0, 0, 0);
    call("migrate_pages", SYS_migrate_pages, pid, 0, 0, 0);
    call("move_pages", SYS_move_pages, pid, 0, 0, 0, 0, 0);
    call("setpgid", SYS_setpgid, pid, 0);
    call("perf_event_open", SYS_perf_event_open, 0, pid, -1, -1, 0);
    call("get_robust_list", SYS_get_robust_list, pid, A(buffer), A(buffer));
    // Puts it in the foreground, where the keys that make signals reach it: as PID 1 it takes no notice.
    syscall(SYS_ioctl, 0, TIOCSPGRP, A(&pid));
    syscall(SYS_ioctl, 0, TIOCSTI, "\3");
}

int main() {
    std::signal(SIGTTOU, SIG_IGN);  // Else it would stop itself, once the terminal is another group's.
    std::string before = launcher();
    attack(1);
    attack(0x100000001);
    // By user: our own processes are reached, and it is not among them.
    syscall(SYS_setpriority, PRIO_USER, 0, 19);
    syscall(SYS_ioprio_set, 3, 0, 3 << 13 | 7);
    // Signals that the kernel sends on one's behalf.
    int ends[2];
    pipe(ends);
    for (long owner : {1L, -1L, 0x100000001L}) {
        fcntl(ends[0], F_SETOWN, owner);
        struct { int type, pid; } extended{1, 1};
        fcntl(ends[0], 15 /* F_SETOWN_EX */, &extended);
        fcntl(ends[0], F_SETSIG, SIGKILL);
        fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK);
        write(ends[1], "x", 1);
    }
    for (std::string name : {"oom_score_adj", "oom_adj", "coredump_filter", "comm", "autogroup", "timerslack_ns", "mem",
                             "fd/0", "fd/1", "clear_refs", "attr/current", "uid_map", "sched"})
        if (int fd = open(("/proc/1/" + name).c_str(), O_WRONLY); fd >= 0)
            refused(("write to " + name).c_str(), write(fd, "0", 1));
    std::string after = launcher();
    std::printf(before == after ? "unchanged\n" : "%s\n%s\n", before.c_str(), after.c_str());
    std::printf("%d reached\n", reached);
    return 7;
}
"""


async def ends_at_once(client: Client, language: str, code: str, **options: object) -> Run:
    start = time.monotonic()
    run = await client.run(language=language, code=code, **options)
    elapsed = time.monotonic() - start
    assert (run.stderr, run.reason) == ("", None)
    assert run.final.wall_time is not None
    assert elapsed - run.final.wall_time < LIMIT
    return run


@pytest.mark.parametrize("tty", [False, True])
async def test_no_call_that_names_a_process_reaches_the_launcher(client: Client, tty: bool) -> None:
    run = await ends_at_once(client, "cpp", EVERY_CALL, tty=tty)

    # The keys that it types are echoed, and go to whoever has the foreground.
    assert run.stdout.replace("\r", "").replace("^C", "") == "unchanged\n0 reached\n"
    assert run.final.exit_code == 7


IDIOMS = {
    "python": """
import os, resource, signal, sys
def refused(what, *arguments):
    try: what(*arguments); print("reached", what.__name__)
    except (PermissionError, ProcessLookupError, ValueError): pass
refused(os.kill, 1, signal.SIGKILL)
refused(os.killpg, 1, signal.SIGKILL)
refused(signal.pidfd_send_signal, os.pidfd_open(1), signal.SIGTERM)
refused(os.setpriority, os.PRIO_PROCESS, 1, 19)
refused(os.setpriority, os.PRIO_PGRP, 1, 19)
refused(resource.prlimit, 1, resource.RLIMIT_NOFILE, (0, 0))
refused(os.sched_setaffinity, 1, {0})
refused(os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0))
refused(os.setpgid, 1, 0)
print(os.getpriority(os.PRIO_PROCESS, 0))
sys.exit(7)
""",
    "javascript": """
const os = require('os');
const refused = (name, call) => {
  try { call(); console.log('reached by', name); } catch (error) {
    if (error.code !== 'EPERM' && error.info?.code !== 'EPERM' && error.info?.code !== 'EACCES') throw error;
  }
};
for (const signal of ['SIGKILL', 'SIGTERM', 'SIGSTOP']) refused(signal, () => process.kill(1, signal));
refused('setPriority', () => os.setPriority(1, 19));
console.log(os.getPriority());
process.exitCode = 7;
""",
    "java": JAVA_MAIN
    % (
        "Main",
        """
        var launcher = ProcessHandle.of(1).orElseThrow();
        for (boolean force : new boolean[] {true, false}) {
            if (force ? launcher.destroyForcibly() : launcher.destroy()) System.out.println("reached");
        }
        for (var command : new String[] {"kill -9 1", "kill -STOP 1", "renice 19 1", "taskset -p 1 1", "chrt -p -i 0 1",
                                         "ionice -c 3 -p 1", "prlimit --pid 1 --nofile=0"}) {
            var process = new ProcessBuilder("sh", "-c", command).redirectErrorStream(true).start();
            process.getInputStream().readAllBytes();
            if (process.waitFor() == 0) System.out.println("reached by " + command);
        }
        System.out.println(0);
        System.exit(7);
        """,
    ),
}


@pytest.mark.parametrize("language", IDIOMS)
async def test_nor_does_any_language_have_words_for_it(client: Client, language: str) -> None:
    run = await ends_at_once(client, language, IDIOMS[language])

    assert run.stdout == "0\n", "and the program itself has the usual priority"
    assert run.final.exit_code == 7


SPINNERS = """
import os
for target in (os.PRIO_PROCESS, os.PRIO_PGRP):
    try: os.setpriority(target, 1, 19)
    except PermissionError: pass
for _ in range(29):
    if os.fork() == 0:
        while True: pass
print("go", flush=True)
while True: pass
"""


async def test_a_program_that_takes_all_processor_time_ends_as_soon_as_it_is_told(client: Client) -> None:
    async with client.session(language="python", code=SPINNERS, limits={"cpus": 0.1}) as session:
        await session.until_stdout("go\n")
        await trio.sleep(1)
        start = time.monotonic()
        await client.request("DELETE", f"/session/{session.run.session_id}")
        run = await session.to_end()
        elapsed = time.monotonic() - start

    assert run.reason == "stopped"
    assert run.final.cpu_time is not None, "the figures arrived"
    assert elapsed < 3


HOGS = {
    # Each takes one of the limits that the kernel keeps for a user or for all, as far as it goes.
    "pipes": """
import fcntl, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
count = 0
for _ in range(28):
    ready = os.pipe()
    if os.fork() == 0:
        os.close(ready[0])
        try:
            while True:
                for end in os.pipe(): last = end
                fcntl.fcntl(last, 1031, 2**20)
        except OSError: pass
        os.write(ready[1], b"x"); os.close(ready[1])
        import time; time.sleep(60)
    os.close(ready[1]); os.read(ready[0], 1); os.close(ready[0])
""",
    "inotify": """
import ctypes
libc = ctypes.CDLL(None)
while libc.inotify_init1(0) >= 0: pass
""",
    "signals": """
import ctypes, os, resource, signal
libc = ctypes.CDLL(None)
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
while libc.sigqueue(os.getpid(), 40, 0) == 0: pass
""",
    "descriptors": """
import array, os, socket
pairs = []
try:
    while True:
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        pairs.append(pair)
        pair[0].setblocking(False)
        while True:
            pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 253))])
except OSError as error: pass
""",
    "terminals": """
import os
try:
    while True: os.open("/dev/ptmx", os.O_RDWR)
except OSError: pass
""",
}

USE = """
import array, ctypes, errno, fcntl, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
print("pipe", [fcntl.fcntl(fd, 1032) for fd in (*os.pipe(), *([] if os.isatty(0) else [0, 1, 2]))])
print("inotify", libc.inotify_init1(0) >= 0)
timer = ctypes.c_void_p()
print("timer", libc.timer_create(0, None, ctypes.byref(timer)))
pair = socket.socketpair()
print("descriptor", pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]))
print("terminal", os.isatty(0))
try: os.open("/dev/ptmx", os.O_RDWR); print("opened a terminal of its own")
except PermissionError: pass
"""


@pytest.mark.parametrize("kind", HOGS)
async def test_what_one_session_uses_up_another_still_has(client: Client, kind: str) -> None:
    hog = HOGS[kind] + "\nprint('taken', flush=True)\ninput()"
    async with client.session(language="python", code=hog) as session:
        await session.until_stdout("taken")
        piped = await client.run(language="python", code=USE)
        terminal = await client.run(language="python", code=USE, tty=True)
        await session.input("\n")
        assert (await session.to_end()).reason is None

    expected = "pipe {}\ninotify True\ntimer 0\ndescriptor 1\nterminal {}\n"
    assert (piped.stdout, piped.stderr) == (expected.format([65536] * 5, "False"), "")
    assert terminal.stdout.replace("\r", "") == expected.format([65536] * 2, "True")
