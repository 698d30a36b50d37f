"""System calls that programs have no need of, and how to try them without anything coming of it."""

from __future__ import annotations

NUMBERS = {
    "x86_64": {
        "add_key": 248,
        "io_uring_setup": 425,
        "kcmp": 312,
        "keyctl": 250,
        "perf_event_open": 298,
        "pidfd_getfd": 438,
        "process_vm_readv": 310,
        "ptrace": 101,
        "setns": 308,
        "unshare": 272,
        "userfaultfd": 323,
        "vmsplice": 278,
    },
    "aarch64": {
        "add_key": 217,
        "io_uring_setup": 425,
        "kcmp": 272,
        "keyctl": 219,
        "perf_event_open": 241,
        "pidfd_getfd": 438,
        "process_vm_readv": 270,
        "ptrace": 117,
        "setns": 268,
        "unshare": 97,
        "userfaultfd": 282,
        "vmsplice": 75,
    },
}
"""By machine, as the kernel's tables have them: asm/unistd_64.h and asm-generic/unistd.h."""

_NOBODY = 0x7FFFFFFF
"""No process has this number."""
_PTRACE_ATTACH = 16

ARGUMENTS = {
    "kcmp": [_NOBODY, _NOBODY],
    "pidfd_getfd": [-1],
    "process_vm_readv": [_NOBODY],
    "ptrace": [_PTRACE_ATTACH, _NOBODY],
    "setns": [-1],
    "userfaultfd": [-1],
    "vmsplice": [-1],
}
"""Such that the kernel would find fault with them; all others get zeros. A filter refuses calls before that."""

FAMILIES = {"AF_NETLINK": 16, "AF_PACKET": 17, "AF_ALG": 38, "AF_VSOCK": 40}
"""Kinds of sockets that programs have no need of."""
