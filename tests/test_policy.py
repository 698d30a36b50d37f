"""The launcher's filter, instruction by instruction, against the engine's profile, of which both are to be one."""

from __future__ import annotations

import errno
import io
import platform
import random
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from trio_exec.executor import policy
from trio_exec.executor.docker.images import _tar
from trio_exec.executor.images import Image, launcher_image
from trio_exec.executor.machine import CHARGES, Machine
from trio_exec.executor.process import binary
from trio_exec.executor.seccomp import DENIED, DENIED_WHERE_NOT_CHARGED, profile

Instruction = tuple[int, int, int, int]
Program = Sequence[Instruction]

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ARCHITECTURE = ARCHITECTURES.get(platform.machine(), 0)
X32, NO_CALL = 0x40000000, 0xFFFFFFFF
MACHINES = [Machine(charges_sockets=sockets, charges_ipc=ipc) for sockets, ipc in product((False, True), repeat=2)]
WHOLE = 0xFFFFFFFFFFFFFFFF


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints the launcher's filter."""
    if shutil.which(binary.COMPILER) is None or not ARCHITECTURE:
        pytest.skip(f"there is no {binary.COMPILER}, or launchers can't be run on {platform.machine()}")
    directory = tmp_path_factory.mktemp("filter")
    (directory / policy.HEADER).write_text(policy.header())
    flags = [flag for flag in binary.FLAGS if flag != "-static"]
    sanitizers = ["-fsanitize=undefined", "-fno-sanitize-recover"]
    sources = [Path(__file__).with_name("filter.c"), binary.SOURCES / "confine.c"]
    program = directory / "filter"
    places = ["-I", binary.SOURCES, "-I", directory]
    subprocess.run([binary.COMPILER, *flags, *sanitizers, *places, "-o", program, *sources], check=True, timeout=60)
    return program


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, int]:
    """The numbers of all system calls that the profile or its list of others names and the C headers know."""
    if shutil.which(binary.COMPILER) is None:
        pytest.skip(f"there is no {binary.COMPILER}")
    names = {name for entry in profile(MACHINES[-1])["syscalls"] for name in entry["names"]}
    source = tmp_path_factory.mktemp("numbers") / "numbers.c"
    source.write_text(
        "#include <sys/syscall.h>\n"
        + "".join(
            f'#ifdef __NR_{name}\n"{name}" __NR_{name}\n#endif\n'
            for name in {*names, *DENIED, *DENIED_WHERE_NOT_CHARGED}
        )
    )
    done = subprocess.run([binary.COMPILER, "-E", "-P", source], capture_output=True, text=True, check=True, timeout=60)
    found = re.findall(r'^"(\w+)"\s+(\d+)$', done.stdout, re.M)
    assert len(found) > 200
    return {name: int(number) for name, number in found}


def filter_of(compiled: Path, words: Sequence[str]) -> Program:
    done = subprocess.run([compiled, *words], capture_output=True, text=True, check=True, timeout=10)
    program: list[Instruction] = []
    for line in done.stdout.splitlines():
        code, yes, no, constant = map(int, line.split())
        program.append((code, yes, no, constant))
    return program


def verdict(program: Program, number: int, arguments: Sequence[int], architecture: int = ARCHITECTURE) -> int:
    """What the kernel would do; see its Documentation/networking/filter.rst."""
    words = [number, architecture, 0, 0]
    for argument in arguments:
        words += [argument & 0xFFFFFFFF, argument >> 32]
    at = accumulator = 0
    while True:
        code, yes, no, constant = program[at]
        at += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                accumulator = words[constant // 4]
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                accumulator &= constant
            case 0x05:  # BPF_JMP | BPF_JA
                at += constant
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += yes if accumulator == constant else no
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += yes if accumulator >= constant else no
            case 0x06:  # BPF_RET | BPF_K
                return constant
            case _:
                raise AssertionError(hex(code))


def holds(argument: Mapping[str, Any], arguments: Sequence[int]) -> bool:
    value = arguments[argument["index"]]
    if argument["op"] == "SCMP_CMP_MASKED_EQ":
        return value & argument["value"] == argument["valueTwo"]
    assert argument["op"] == "SCMP_CMP_EQ"
    return value == argument["value"]


class Reference:
    """The engine's profile, read as it stands."""

    def __init__(self, machine: Machine, numbers: Mapping[str, int]) -> None:
        self.rules: dict[int, list[dict[str, Any]]] = {}
        for entry in profile(machine)["syscalls"]:
            for name in entry["names"]:
                if name in numbers:
                    self.rules.setdefault(numbers[name], []).append(entry)

    def verdicts(self, number: int, arguments: Sequence[int]) -> set[int]:
        """Of rules that contradict each other, either may count."""
        if number > max(self.rules) and number != NO_CALL:
            return {KILL if number >= X32 and platform.machine() == "x86_64" else ERRNO | errno.ENOSYS}
        return {
            ALLOW if entry["action"] == "SCMP_ACT_ALLOW" else ERRNO | entry["errnoRet"]
            for entry in self.rules.get(number, [])
            if all(holds(argument, arguments) for argument in entry["args"])
        } or {ERRNO | errno.EPERM}

    def values(self, number: int) -> list[int]:
        """What makes a difference to the rules of a call, and what is close to it."""
        values = {0, 1, WHOLE}
        for entry in self.rules.get(number, []):
            for argument in entry["args"]:
                wanted = argument["valueTwo"] if "valueTwo" in argument else argument["value"]
                for value in (wanted, wanted ^ 1, wanted | 0x800, wanted ^ argument["value"]):
                    values |= {value, value | 1 << 32, value | 1 << 63}
        return sorted(value & WHOLE for value in values)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "+".join(machine.charged) or "nothing")
def test_it_decides_as_the_profile_does(compiled: Path, numbers: Mapping[str, int], machine: Machine) -> None:
    program = filter_of(compiled, machine.charged)
    reference = Reference(machine, numbers)
    chance = random.Random(0)
    for number in [*range(1200), X32 - 1, X32, X32 + 39, (1 << 31) - 1, 1 << 31, NO_CALL - 1, NO_CALL]:
        values = reference.values(number)
        # Rules look at three arguments together, at the most.
        rules = len(reference.rules.get(number, []))
        for arguments in [[0] * 6, *(chance.choices(values, k=6) for _ in range(3000 * rules if rules > 1 else 20))]:
            assert verdict(program, number, arguments) in reference.verdicts(number, arguments), (number, arguments)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: "+".join(machine.charged) or "nothing")
def test_what_is_left_out_on_purpose_is_refused(compiled: Path, numbers: Mapping[str, int], machine: Machine) -> None:
    program = filter_of(compiled, machine.charged)
    for name in (*DENIED, *(() if machine.charges_ipc else DENIED_WHERE_NOT_CHARGED)):
        if name in numbers:
            assert verdict(program, numbers[name], [0] * 6) == ERRNO | errno.EPERM, name


def test_other_architectures_end_the_thread(compiled: Path, numbers: Mapping[str, int]) -> None:
    program = filter_of(compiled, CHARGES)
    for architecture in (0x40000003, 0x40000028, *ARCHITECTURES.values()):  # i386, ARM
        expected = ALLOW if architecture == ARCHITECTURE else KILL
        assert verdict(program, numbers["getpid"], [0] * 6, architecture) == expected


def test_it_is_short_and_plain_calls_are_found_by_a_few_comparisons(compiled: Path, numbers: Mapping[str, int]) -> None:
    program = filter_of(compiled, CHARGES)
    assert 100 < len(program) < 600
    steps = 0

    class Counted(list[Instruction]):
        def __getitem__(self, index: Any) -> Any:
            nonlocal steps
            steps += 1
            return super().__getitem__(index)

    for name in ("read", "write", "futex", "mmap", "clone", "execve"):
        steps = 0
        verdict(Counted(program), numbers[name], [0] * 6)
        assert steps < 24, name


def test_a_word_that_is_not_known_makes_no_filter(compiled: Path) -> None:
    assert filter_of(compiled, ["sockets", "everything"]) == []


def test_the_header_counts_for_an_images_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(image: Image) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(_tar(image).getvalue())) as tar:
            return {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name)) is not None}

    before = launcher_image()
    text = policy.header()
    assert names(before)[policy.HEADER] == text.encode()
    monkeypatch.setattr(policy, "header", lambda: text.replace("{RLIMIT_CORE, 1, 1}", "{RLIMIT_CORE, 0, 0}"))
    after = launcher_image()
    assert after.tag != before.tag
    assert b"{RLIMIT_CORE, 0, 0}" in names(after)[policy.HEADER]
    assert after.directory == before.directory


def test_a_compiled_launcher_is_another_one_when_the_header_is(
    compiled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[Sequence[Any]] = []

    def compile_(command: Sequence[Any], **_: Any) -> None:
        done.append(command)
        Path(command[command.index("-o") + 1]).touch()

    run: Callable[..., Any] = compile_
    monkeypatch.setattr(binary.subprocess, "run", run)
    first = binary.launcher(tmp_path)
    text = policy.header()
    monkeypatch.setattr(policy, "header", lambda: text + "\n")
    assert binary.launcher(tmp_path) != first
    assert len(done) == 2
