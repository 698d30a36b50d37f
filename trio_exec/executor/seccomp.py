"""The system calls that programs may make: an allowlist of our own.

The engine's default profile depends on its version (Docker 20.10's allows io_uring, AF_VSOCK and ptrace, for
instance), so a profile is passed along with every container. What is not listed fails with EPERM. The lists are
grouped by what a program needs them for; what was left out on purpose is named in `DENIED`, which the tests try
one by one.
"""

from __future__ import annotations

import errno
import json
from typing import Any

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
getuid ioprio_get ioprio_set kill membarrier pidfd_open pidfd_send_signal prctl prlimit64 rseq sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area
set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit
setsid setuid sysinfo tgkill times tkill uname vfork wait4 waitid
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
setsockopt shutdown
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
    "msgget",
    "open_by_handle_at",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "process_vm_readv",
    "ptrace",
    "request_key",
    "semget",
    "setns",
    "shmget",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
    "vmsplice",
)
"""System calls kept from programs that a reader may look for here."""

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
"""The only families: no AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG, … Loopback works with these."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET together; see clone(2)."""

_PERSONALITIES = (0, 0xFFFFFFFF)
"""The ordinary one, and the question which one it is."""


def _allow(names: str, *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _equals(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def profile() -> dict[str, Any]:
    """The profile in Docker's form (the JSON that `--security-opt seccomp=` takes)."""
    plain = _FILES + _MEMORY + _PROCESSES + _SIGNALS_AND_TIME + _WAITING + _NETWORK + _SELF_RESTRICTION
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            _allow(plain),
            *[_allow("socket", _equals(0, family)) for family in (_AF_UNIX, _AF_INET, _AF_INET6)],
            _allow("socketpair", _equals(0, _AF_UNIX)),
            *[_allow("personality", _equals(0, value)) for value in _PERSONALITIES],
            _allow(
                "clone",
                {"index": 0, "value": _NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"},
            ),
            # Its flags are behind a pointer, out of a filter's sight. C libraries fall back to clone on ENOSYS.
            {
                "names": ["clone3"],
                "action": "SCMP_ACT_ERRNO",
                "args": [],
                "errnoRet": errno.ENOSYS,
            },
        ],
    }


def profile_json() -> str:
    """The same, as text."""
    return json.dumps(profile(), separators=(",", ":"))
