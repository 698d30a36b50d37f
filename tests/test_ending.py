"""Why a session ended, and the sentence for people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trio_exec.launcher import frames
from trio_exec.launcher.frames import StageEnd
from trio_exec.limits import MIB, Limits
from trio_exec.model import Figures, Hit, Reason, StageName, Stream
from trio_exec.session.ending import cause_of, explain, explain_hits, explain_overrun, figures_of
from trio_exec.session.output import Overrun

LIMITS = Limits(
    memory_bytes=200 * MIB,
    cpus=0.5,
    pids=32,
    workspace_bytes=MIB,
    output_bytes=1000,
    stdout_bytes=None,
    stderr_bytes=None,
    idle_timeout=7.5,
    execution_timeout=60,
    cpu_time=2.5,
    compile_timeout=20,
    compile_memory_bytes=512 * MIB,
    compile_cpus=2,
    collected_files=64,
    collected_bytes=2**23,
)


def end(*, exit_code: int | None = None, signal: int | None = None, oom_kills: int = 0) -> StageEnd:
    return StageEnd(exit_code, signal, 3, 0.5, 0.25, 1000, oom_kills)


@pytest.mark.parametrize(
    ("figures", "out_of_memory"),
    [
        (end(signal=9, oom_kills=1), True),
        (end(exit_code=1, oom_kills=1), True),
        (end(exit_code=137, oom_kills=2), True),
        (end(exit_code=0, oom_kills=1), False),  # It lost a child, and coped.
        (end(signal=11, oom_kills=1), False),
        (end(signal=9), False),
        (end(exit_code=137), False),  # A number that a program can choose.
    ],
)
def test_only_the_kernels_killing_is_out_of_memory(figures: StageEnd, out_of_memory: bool) -> None:
    assert cause_of(figures) is (Reason.MEMORY_LIMIT if out_of_memory else None)


def test_cpu_time_that_was_used_up_is_why_a_program_ended() -> None:
    assert cause_of(replace(end(signal=9, oom_kills=1), used_up_cpu_time=True)) is Reason.CPU_TIME_LIMIT


@pytest.mark.parametrize(
    ("reason", "stage", "sentence"),
    [
        (Reason.IDLE_TIMEOUT, StageName.RUN, "there was no input and no output for 7.5 seconds"),
        (Reason.EXECUTION_TIMEOUT, StageName.RUN, "the program took longer than 60 seconds"),
        (Reason.EXECUTION_TIMEOUT, StageName.COMPILE, "compiling took longer than 20 seconds"),
        (Reason.CPU_TIME_LIMIT, StageName.RUN, "the program used more than 2.5 seconds of CPU time"),
        (Reason.MEMORY_LIMIT, StageName.RUN, "the program used more than 200 MiB of memory"),
        (Reason.MEMORY_LIMIT, StageName.COMPILE, "the compiler used more than 512 MiB of memory"),
    ],
)
def test_a_limit_is_told_with_its_figure(reason: Reason, stage: StageName, sentence: str) -> None:
    assert explain(reason, LIMITS, stage) == sentence


@pytest.mark.parametrize(
    ("overrun", "sentence"),
    [
        (Overrun(1000, None), "the program wrote more than 1000 bytes"),
        (Overrun(10, Stream.STDOUT), "the program wrote more than 10 bytes to its standard output"),
        (Overrun(10, Stream.STDERR), "the program wrote more than 10 bytes to its standard error"),
    ],
)
def test_an_overrun_is_told_with_its_limit_and_its_stream(overrun: Overrun, sentence: str) -> None:
    assert explain_overrun(overrun) == sentence


@pytest.mark.parametrize("stage", [None, *StageName])
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.OUTPUT_LIMIT])
def test_every_reason_has_a_sentence_in_every_stage(reason: Reason, stage: StageName | None) -> None:
    assert explain(reason, LIMITS, stage)


def test_cpu_time_is_the_programs_and_the_kernels_on_its_behalf() -> None:
    told = figures_of(end(exit_code=3))

    assert told == Figures(exit_code=3, signal=None, wall_time=3, cpu_time=0.75, peak_memory=1000)


FEWER = (
    "the limit of 32 processes and threads was reached, and more were refused; "
    "start fewer, or have the server's `pids` raised"
)


@pytest.mark.parametrize(
    ("hits", "exit_code", "expected"),
    [
        (frames.Hits(0), 1, None),
        (frames.Hits.PIDS, 0, None),
        (
            frames.Hits.PIDS,
            1,
            FEWER,
        ),
        (
            frames.Hits.WORKSPACE | frames.Hits.PIDS,
            1,
            f"{FEWER}; the workspace was full, with 1 MiB; write less, or have the server's `workspace_bytes` raised",
        ),
    ],
)
def test_limits_that_a_failed_program_ran_into_have_sentences(
    hits: frames.Hits, exit_code: int, expected: str | None
) -> None:
    figures = figures_of(frames.StageEnd(exit_code, None, 1, 1, 1, 1, 0, hits=hits))

    assert explain_hits(figures, LIMITS) == expected


def test_every_limit_that_a_launcher_tells_has_a_name_and_a_sentence() -> None:
    for hit in frames.Hits:
        figures = figures_of(frames.StageEnd(None, 6, 1, 1, 1, 1, 0, hits=hit))
        assert len(figures.hits) == 1
        assert explain_hits(figures, LIMITS)
    assert figures_of(frames.StageEnd(1, None, 1, 1, 1, 1, 2)).hits == (Hit.MEMORY,)
    assert explain_hits(None, LIMITS) is None
