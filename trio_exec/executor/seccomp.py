"""The system calls that programs may make: an allowlist of our own.

The engine's default profile depends on its version (Docker 20.10's allows io_uring, AF_VSOCK and ptrace, for
instance), so a profile is passed along with every container; and launchers have a filter of their own, which `policy`
makes of the same lists. What is not listed fails with EPERM. The lists are grouped by what a program needs them for;
what was left out on purpose is named in `DENIED`, which the tests try one by one.
"""

from __future__ import annotations

import errno
import json
from typing import Any

from trio_exec.executor.machine import UNKNOWN, Machine

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr
lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2
read readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat
statfs statx symlink symlinkat sync sync_file_range syncfs truncate umask unlink unlinkat utime utimensat utimes
write writev
"""

_MEMORY = """
brk cachestat madvise memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
pkey_alloc pkey_free pkey_mprotect
"""

_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getegid geteuid
getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid
getuid ioprio_get ioprio_set kill membarrier pidfd_open pidfd_send_signal prctl rseq sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area
set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setsid
setuid sysinfo tgkill times tkill uname vfork wait4 waitid
"""

_SIGNALS_AND_TIME = """
alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep pause restart_syscall rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer
sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun timer_gettime timer_settime
timerfd_create timerfd_gettime timerfd_settime
"""

_WAITING = """
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex futex_waitv
futex_requeue futex_wait futex_wake pipe pipe2 poll ppoll pselect6 select
"""

_NETWORK = """
accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto
shutdown
"""

_IPC = """
msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt
"""

_SELF_RESTRICTION = """
getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
"""

DENIED = (
    "add_key",
    "bpf",
    "chroot",
    "io_uring_setup",
    "kcmp",
    "keyctl",
    "memfd_secret",
    "mount",
    "mq_open",
    "open_by_handle_at",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "ptrace",
    "request_key",
    "setns",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
    "vmsplice",
)
"""System calls kept from programs that a reader may look for here."""

DENIED_WHERE_NOT_CHARGED = ("msgget", "semget", "shmget")
"""The same, where the kernel does not charge a container for System V IPC: it would be a way to use up the machine."""

_SHM_HUGETLB = 0o4000
"""Shared memory of huge pages, which are the machine's, and charged to nobody."""

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
"""The only families: no AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG, … Loopback works with these."""

_SOCK_TYPE = 0xF
_STREAM, _DATAGRAM = (1, (0, 6)), (2, (0, 17))
"""What Internet sockets may be: a type, without its flags, and its protocols, the default and TCP or UDP."""

_SOL_SOCKET, _SOL_TCP = 1, 6
_LEVELS = (0, 17, 41)
"""Of IP, UDP and IPv6: levels at which every option may be set."""

_SOCKET_OPTIONS = """
2:REUSEADDR 5:DONTROUTE 6:BROADCAST 9:KEEPALIVE 10:OOBINLINE 12:PRIORITY 13:LINGER 15:REUSEPORT 16:PASSCRED 18:RCVLOWAT
20:RCVTIMEO 21:SNDTIMEO 29:TIMESTAMP 35:TIMESTAMPNS 42:PEEK_OFF 66:RCVTIMEO_NEW 67:SNDTIMEO_NEW
"""
"""Those that programs may set; no filters, whose compiled code takes from a limit of the whole machine's."""

_TCP_ULP = 31
"""Puts another protocol of the kernel's on top, such as TLS; the one TCP option that programs can't set."""

_BUFFER_SIZES = (7, 8, 32, 33)
"""SO_SNDBUF, SO_RCVBUF and their FORCE forms. The kernel takes them for hints; here it takes no notice at all, since
they go beyond the sizes that TCP is held to."""

_RLIMIT_CORE = 4

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET together; see clone(2)."""

_PERSONALITIES = (0, 0xFFFFFFFF)
"""The ordinary one, and the question which one it is."""


def _allow(names: str, *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _equals(index: int, value: int) -> dict[str, Any]:
    """That an argument of type int is this value: the kernel looks at 32 bits, whatever is above them."""
    return _masked(index, 0xFFFFFFFF, value)


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _is_null(index: int) -> dict[str, Any]:
    return {"index": index, "value": 0, "op": "SCMP_CMP_EQ"}


def _answer(name: str, error: int, *arguments: dict[str, Any]) -> dict[str, Any]:
    """Nothing is done; the call ends with an error, or with success, which is none."""
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "args": list(arguments), "errnoRet": error}


def _differs(index: int, value: int, bits: int) -> list[dict[str, Any]]:
    """Conditions of which at least one holds where an int argument is another value below 1 << bits: a bit differs."""
    return [_masked(index, 1 << bit, ~value & (1 << bit)) for bit in range(bits)]


def _options(listed: str) -> list[int]:
    return [int(option.partition(":")[0]) for option in listed.split()]


def _sockets(*, datagrams: bool) -> list[dict[str, Any]]:
    kinds = [_STREAM, _DATAGRAM] if datagrams else [_STREAM]
    return [
        _allow("socket", _equals(0, _AF_UNIX)),
        _allow("socketpair", _equals(0, _AF_UNIX)),
        *[
            _allow("socket", _equals(0, family), _masked(1, _SOCK_TYPE, kind), _equals(2, protocol))
            for family in (_AF_INET, _AF_INET6)
            for kind, protocols in kinds
            for protocol in protocols
        ],
        *[_allow("setsockopt", _equals(1, level)) for level in _LEVELS],
        *[_allow("setsockopt", _equals(1, _SOL_SOCKET), _equals(2, option)) for option in _options(_SOCKET_OPTIONS)],
        *[_allow("setsockopt", _equals(1, _SOL_TCP), other) for other in _differs(2, _TCP_ULP, 6)],
        *[_answer("setsockopt", 0, _equals(1, _SOL_SOCKET), _equals(2, option)) for option in _BUFFER_SIZES],
    ]


def _ipc() -> list[dict[str, Any]]:
    return [_allow(_IPC), _allow("shmget", _masked(2, _SHM_HUGETLB, 0))]


def _limits() -> list[dict[str, Any]]:
    """Every limit but that of core dumps may be lowered: 1 byte keeps the machine's handler out, 0 does not."""
    return [
        _allow("prlimit64", _is_null(2)),  # Only asks.
        *[_allow("prlimit64", other) for other in _differs(1, _RLIMIT_CORE, 4)],
        _answer("prlimit64", 0, _equals(1, _RLIMIT_CORE), _is_null(3)),
        _answer("setrlimit", errno.ENOSYS),  # C libraries use the other.
    ]


def profile(machine: Machine = UNKNOWN) -> dict[str, Any]:
    """The profile in Docker's form (the JSON that `--security-opt seccomp=` takes).

    Args:
        machine: what the engine runs on. Where datagrams in flight are not charged to the container, there are none;
            where System V IPC is not, there is none either.
    """
    plain = _FILES + _MEMORY + _PROCESSES + _SIGNALS_AND_TIME + _WAITING + _NETWORK + _SELF_RESTRICTION
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            _allow(plain),
            *_sockets(datagrams=machine.charges_sockets),
            *(_ipc() if machine.charges_ipc else []),
            *_limits(),
            *[_allow("personality", _equals(0, value)) for value in _PERSONALITIES],
            _allow("clone", _masked(0, _NEW_NAMESPACES, 0)),
            # Its flags are behind a pointer, out of a filter's sight. C libraries fall back to clone on ENOSYS.
            _answer("clone3", errno.ENOSYS),
        ],
    }


def profile_json(machine: Machine = UNKNOWN) -> str:
    """The same, as text."""
    return json.dumps(profile(machine), separators=(",", ":"))
