"""The same lists for the launcher: system calls and rlimits as a header in C, made where it is compiled.

An engine can be told to leave its profile out, or knows none; a launcher can't. So it puts both in force itself, by
`policy.h`, which is this text (`trio_exec/runtimes/launcher/confine.h` says how). Names are left to the compiler,
whose kernel's headers know the numbers; calls that they don't know are refused as not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from trio_exec.executor.machine import CHARGES, CHARGES_IPC_SINCE, LOOK, Machine
from trio_exec.executor.rlimits import rlimits
from trio_exec.executor.seccomp import profile

HEADER = "policy.h"
"""The file's name, beside the launcher's sources."""

_WHOLE = 0xFFFFFFFFFFFFFFFF

_Rule = tuple[str, str, tuple[tuple[int, int, int], ...]]
"""A system call's name, what becomes of it, and of which arguments: index, mask and value."""


def _machines() -> dict[frozenset[str], Machine]:
    """All kinds of machine, by what they charge."""
    kinds = [Machine(charges_sockets=sockets, charges_ipc=ipc) for sockets, ipc in product((False, True), repeat=2)]
    return {frozenset(machine.charged): machine for machine in kinds}


def _action(entry: Mapping[str, Any]) -> str:
    return "SECCOMP_RET_ALLOW" if entry["action"] == "SCMP_ACT_ALLOW" else f"SECCOMP_RET_ERRNO | {entry['errnoRet']}"


def _condition(argument: Mapping[str, Any]) -> tuple[int, int, int]:
    if argument["op"] == "SCMP_CMP_MASKED_EQ":
        return argument["index"], argument["value"], argument["valueTwo"]
    return argument["index"], _WHOLE, argument["value"]


def _rules(machine: Machine) -> list[_Rule]:
    return [
        (name, _action(entry), tuple(map(_condition, entry["args"])))
        for entry in profile(machine)["syscalls"]
        for name in entry["names"]
    ]


def _needs(words: frozenset[str]) -> str:
    return " | ".join(f"CHARGES_{word.upper()}" for word in CHARGES if word in words) or "0"


def _rule_lines() -> list[str]:
    kinds = {words: _rules(machine) for words, machine in _machines().items()}
    lines: list[str] = []
    conditions: list[str] = []
    # What is charged only ever adds rules: each is there where the least is that it needs.
    for rule in kinds[frozenset(CHARGES)]:
        name, action, arguments = rule
        needed = min((words for words, rules in kinds.items() if rule in rules), key=len)
        place = f"{len(conditions)}, {len(arguments)}"
        conditions += [f"  {{{index}, {mask:#x}, {value:#x}}}," for index, mask, value in arguments]
        lines += [f"#ifdef __NR_{name}", f"  {{__NR_{name}, {action}, {_needs(needed)}, {place}}},", "#endif"]
    return [
        *("static const struct condition conditions[] = {", *conditions, "};"),
        *("static const struct rule rules[] = {", *lines, "};"),
    ]


def _limit_lines() -> list[str]:
    charged, uncharged = rlimits(Machine(charges_sockets=True)), rlimits(Machine())
    return [
        "static const struct limit limits[] = {",
        *(
            f"  {{RLIMIT_{name.upper()}, {value}, {other}}},"
            for (name, value), (_, other) in zip(charged, uncharged, strict=True)
        ),
        "};",
    ]


def header() -> str:
    """The text of `policy.h`; the same for every machine, of which launchers are told when they start."""
    bits = [f"#define CHARGES_{word.upper()} {1 << bit}" for bit, word in enumerate(CHARGES)]
    bits += [
        f"#define CHARGES_IPC_{part} {number}"
        for part, number in zip(("MAJOR", "MINOR"), CHARGES_IPC_SINCE, strict=True)
    ]
    bits.append(f'#define CHARGES_UNKNOWN "{LOOK}"')
    words = [f'  {{"{word}", CHARGES_{word.upper()}}},' for word in CHARGES]
    lines = [
        "/* Made by trio_exec/executor/policy.py. */",
        *bits,
        *("static const struct charge charges[] = {", *words, "};"),
        *_rule_lines(),
        *_limit_lines(),
    ]
    return "\n".join(lines) + "\n"
