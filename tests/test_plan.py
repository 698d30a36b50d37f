"""From a job to a plan: what is run, with what, and what can't be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trio_exec.errors import RequestError
from trio_exec.languages import Language, Stage, Warm
from trio_exec.launcher.frames import PAYLOAD_MAX
from trio_exec.launcher.prestart import Prestart
from trio_exec.limits import Limits, Resources
from trio_exec.model import Job, StageName
from trio_exec.session.plan import Plan, StagePlan, make_plan, prestarts

LIMITS = Limits(
    memory_bytes=2**27,
    cpus=0.5,
    pids=32,
    workspace_bytes=2**20,
    output_bytes=1000,
    stdout_bytes=None,
    stderr_bytes=None,
    idle_timeout=30,
    execution_timeout=60,
    cpu_time=None,
    compile_timeout=20,
    compile_memory_bytes=2**28,
    compile_cpus=2,
    collected_files=64,
    collected_bytes=2**23,
)
SCRIPT = Language(
    name="script",
    title="Script",
    version="1",
    source_file="main.s",
    run=Stage(command=["run", "--memory={memory}", "{source}"]),
    warm=[Warm(stage=StageName.RUN, unless="coding")],
    env={"COLOUR": "no", "THREADS": "{processors}"},
    directory=Path(),
)
COMPILED = Language(
    name="compiled",
    title="Compiled",
    version="1",
    source_file="main.c",
    compile=Stage(command=["cc", "{sources}"], makes=["program"]),
    run=Stage(command=["./program"]),
    warm=[Warm(stage=StageName.COMPILE, sized=True), Warm(stage=StageName.RUN, file="program", pids=20)],
    directory=Path(),
)
PLAIN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/workspace",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


def plan(job: Job, language: Language = SCRIPT) -> Plan:
    return make_plan(job, language, LIMITS)


def test_everything_of_a_job_is_in_its_plan() -> None:
    job = Job(
        "script",
        b"code",
        files={"data": b"\xff"},
        args=["a b", ""],
        env={"NAME": "value"},
        stdin=b"in",
        ends_input=True,
        terminal=(24, 80),
        limits={"cpus": 0.25, "cpu_time": 2},
    )

    assert plan(job) == Plan(
        language=SCRIPT,
        files={"main.s": b"code", "data": b"\xff"},
        stages=(
            StagePlan(
                name=StageName.RUN,
                command=["run", f"--memory={2**27}", "main.s", "a b", ""],
                environment={
                    **PLAIN_ENVIRONMENT,
                    "TERM": "xterm-256color",
                    "COLORTERM": "truecolor",
                    "COLOUR": "no",
                    "THREADS": "4",
                    "NAME": "value",
                },
                interactive=True,
                wall_time=60,
                cpu_time=2,
                resources=Resources(2**27, 0.25),
            ),
        ),
        stdin=b"in",
        ends_input=True,
        terminal=(24, 80),
        limits=replace(LIMITS, cpus=0.25, cpu_time=2),
        may_use_prestart=False,
    )


def test_a_compiler_sees_all_sources_and_no_variables_of_the_request() -> None:
    job = Job("compiled", b"", files={"b.c": b"", "b.h": b"", "-o.c": b""}, env={"CPATH": "/x"}, args=["x"])
    made = plan(job, COMPILED)

    assert made.stages == (
        StagePlan(
            name=StageName.COMPILE,
            command=["cc", "main.c", "b.c", "./-o.c"],
            environment=PLAIN_ENVIRONMENT,
            interactive=False,
            wall_time=20,
            cpu_time=None,
            resources=Resources(2**28, 2),
        ),
        StagePlan(
            name=StageName.RUN,
            command=["./program", "x"],
            environment={**PLAIN_ENVIRONMENT, "CPATH": "/x"},
            interactive=True,
            wall_time=60,
            cpu_time=None,
            resources=Resources(2**27, 0.5),
        ),
    )


def test_without_code_the_first_file_is_the_main_one() -> None:
    made = plan(Job("script", files={"first.s": b"1", "main.s": b"2"}))

    assert made.stages[0].command[-1] == "first.s"
    assert list(made.files) == ["first.s", "main.s"]


def test_the_main_file_comes_once() -> None:
    with pytest.raises(RequestError, match=r"'main\.s' is the main file") as caught:
        plan(Job("script", b"", files={"main.s": b""}))
    assert caught.value.field == "files"


def test_a_requests_variables_win() -> None:
    made = plan(Job("script", b"", env={"COLOUR": "yes", "HOME": "/"}))

    assert (made.stages[0].environment["COLOUR"], made.stages[0].environment["HOME"]) == ("yes", "/")


@pytest.mark.parametrize("name", ["program", "program/x", ".tmp", ".tmp/x"])
def test_names_that_are_needed_are_taken(name: str) -> None:
    with pytest.raises(RequestError, match="choose another name") as caught:
        plan(Job("compiled", b"", files={name: b""}), COMPILED)
    assert caught.value.field == "files"


@pytest.mark.parametrize("name", ["programs", "x/program", ".tmpfile"])
def test_names_that_only_look_alike_are_free(name: str) -> None:
    assert name in plan(Job("compiled", b"", files={name: b""}), COMPILED).files


def test_files_take_whole_blocks_of_the_workspace() -> None:
    blocks = LIMITS.workspace_bytes // 4096
    full = {f"f{number}": b"x" for number in range(blocks)}

    assert len(plan(Job("script", files=full)).files) == blocks
    with pytest.raises(RequestError, match="the workspace has 1048576") as caught:
        plan(Job("script", files={**full, "more": b"x"}))
    assert caught.value.field == "files"


def test_limits_can_be_lowered_and_not_raised() -> None:
    assert plan(Job("script", b"", limits={"pids": 32, "cpus": 0.1})).limits == replace(LIMITS, cpus=0.1)
    with pytest.raises(RequestError, match="33 is above the limit of 32") as caught:
        plan(Job("script", b"", limits={"pids": 33}))
    assert caught.value.field == "limits.pids"


def test_commands_are_told_the_memory_of_the_session() -> None:
    assert plan(Job("script", b"", limits={"memory_bytes": 2**24})).stages[0].command[1] == f"--memory={2**24}"


@pytest.mark.parametrize(
    ("cpus", "pids", "processors"),
    [(0.5, 32, 4), (0.5, 1000, 4), (0.5, 16, 2), (0.5, 2, 1), (1.5, 8, 2), (2, 32, 4), (6.5, 32, 7)],
)
def test_programs_reckon_with_as_many_processors_as_their_limits_have_room_for(
    cpus: float, pids: int, processors: int
) -> None:
    made = make_plan(Job("script", b""), SCRIPT, replace(LIMITS, cpus=cpus, pids=pids))
    assert made.stages[0].environment["THREADS"] == str(processors)


def test_each_stage_reckons_with_its_own_processors() -> None:
    compiled = COMPILED.model_copy(
        update={"compile": Stage(command=["cc", "-j{processors}"]), "run": Stage(command=["run", "-j{processors}"])}
    )
    limits = replace(LIMITS, pids=8, cpus=1, compile_cpus=3)

    assert [stage.command[1] for stage in make_plan(Job("compiled", b""), compiled, limits).stages] == ["-j3", "-j1"]
    assert [it.command[1] for it in prestarts(compiled, replace(limits, pids=20))] == ["-j3", "-j2"]


def test_a_command_that_fits_no_frame_is_refused() -> None:
    plan(Job("script", b"", args=["x" * (PAYLOAD_MAX - 500)]))
    with pytest.raises(RequestError, match="65536 at most"):
        plan(Job("script", b"", args=["x" * PAYLOAD_MAX]))
    with pytest.raises(RequestError, match="65536 at most"):
        plan(Job("compiled", b"", files={f"{number:0>1000}.c": b"" for number in range(66)}), COMPILED)


@pytest.mark.parametrize(
    ("job", "language", "may"),
    [
        (Job("script", b"print"), SCRIPT, True),
        (Job("script", files={"main.s": b"print"}), SCRIPT, True),
        (Job("script", b"# coding: latin-1"), SCRIPT, False),
        (Job("script", b"\xff"), SCRIPT, True),
        (Job("script", files={"other.s": b""}), SCRIPT, False),
        (Job("script", b"", files={"other": b""}), SCRIPT, False),
        (Job("script", b"", limits={"memory_bytes": 2**24}), SCRIPT, True),
        (Job("compiled", b"", limits={"memory_bytes": 2**24}), COMPILED, False),
        (Job("compiled", b"", limits={"cpus": 0.1}), COMPILED, True),
    ],
)
def test_what_was_started_ahead_is_used_where_that_makes_no_difference(job: Job, language: Language, may: bool) -> None:
    assert plan(job, language).may_use_prestart is may


LISTED = Language(
    name="listed",
    title="Listed",
    version="1",
    source_file="main.c",
    companions=["b"],
    unusable=["o"],
    compile=Stage(command=["cc", "out/list"], makes=["out"], sources_file="out/list"),
    run=Stage(command=["out/program"]),
    warm=[Warm(stage=StageName.COMPILE, file="out/list"), Warm(stage=StageName.RUN, file="out/program", unless="no")],
    directory=Path(),
)


def test_a_command_that_reads_a_list_of_its_sources_is_started_ahead_for_all_files() -> None:
    made = plan(Job("listed", files={"Ü": b"yes", "-x.c": b"", "y.b": b"", "z": b"no"}), LISTED)

    assert made.files["out/list"] == "./Ü\n./-x.c\ny.b\n".encode()
    assert list(made.files) == ["Ü", "-x.c", "y.b", "z", "out/list"]
    assert made.may_use_prestart
    assert [stage.command for stage in made.stages] == [it.command for it in prestarts(LISTED, LIMITS)]
    assert not plan(Job("listed", files={"x": b"no", "y": b"yes"}), LISTED).may_use_prestart


TOLD = SCRIPT.model_copy(
    update={
        "warm": [Warm(stage=StageName.RUN, file=".tmp/name", named=True)],
        "run": Stage(command=["run", "{source}"]),
    }
)


@pytest.mark.parametrize(
    ("files", "may"),
    [
        ({"main.s": b""}, True),
        ({"other.s": b""}, True),
        ({"lib/x": b"", "main.s": b""}, True),
        ({"main.s": b"", ".rc": b""}, False),
        ({"main.s": b"", ".config/x": b""}, False),
    ],
)
def test_a_command_that_can_be_told_its_main_file_is_started_ahead_for_all_but_hidden_files(
    files: dict[str, bytes], may: bool
) -> None:
    assert plan(Job("script", files=files), TOLD).may_use_prestart is may
    (made,) = prestarts(TOLD, LIMITS)
    assert (made.file, made.command, made.named) == (".tmp/name", ["run", "main.s"], True)


def test_what_is_to_be_told_its_main_file_needs_a_place_for_that() -> None:
    with pytest.raises(ValueError, match="file: say where what is named finds its name"):
        Warm(stage=StageName.RUN, named=True)


def test_a_main_file_that_would_be_taken_for_something_else_is_refused() -> None:
    with pytest.raises(RequestError, match=r"'lib/x\.O' is the first .* call it 'main\.c', or name") as caught:
        plan(Job("listed", files={"lib/x.O": b"", "main.c": b""}), LISTED)
    assert caught.value.field == "files"

    plan(Job("listed", files={"main.c": b"", "lib/x.o": b""}), LISTED)


def test_what_can_be_started_ahead() -> None:
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}

    assert prestarts(COMPILED, LIMITS) == [
        Prestart("main.c", ["cc", "main.c"], PLAIN_ENVIRONMENT, PLAIN_ENVIRONMENT | terminal, runs_on_terminal=False),
        Prestart("program", ["./program"], PLAIN_ENVIRONMENT, PLAIN_ENVIRONMENT | terminal, runs_on_terminal=True),
    ]
    few = prestarts(COMPILED, replace(LIMITS, pids=19))
    assert [it.file for it in few] == ["main.c"]


def test_what_is_over_keeps_nothing_large() -> None:
    made = plan(Job("script", b"code", files={"ü": b"12"}, stdin=b"in"))
    assert made.files_size == len("main.s") + 4 + 2 + 2

    assert (made.without_files().files, made.without_files().stdin) == ({}, b"in")
    kept = made.without_content()
    assert (kept.files, kept.stages, kept.stdin) == ({}, (), b"")
    assert (kept.language, kept.limits) == (SCRIPT, LIMITS)
