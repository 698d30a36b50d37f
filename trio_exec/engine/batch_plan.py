"""What a batch is to do, worked out before anything is started: so a batch with one bad case is refused whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trio_exec.errors import RequestError
from trio_exec.languages import Language
from trio_exec.limits import Limits
from trio_exec.model import Batch, Comparison, Isolation, StageName
from trio_exec.session.plan import Plan, make_plan

_CASE_SIZE = 2048
"""Bytes that a case takes beside what its client sent."""
_OF_A_CONTAINER = {"pids": "pids", "workspace_bytes": "workspaceBytes"}
"""Limits that a running container can't change, with their names on the wire."""


@dataclass(frozen=True, slots=True)
class CasePlan:
    """One case's work.

    Attributes:
        index: which, from 0.
        plan: its session's: the run stage, and what has to be there for that.
        expected: what it should write to its standard output; None where that does not matter.
    """

    index: int
    plan: Plan
    expected: bytes | None


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One batch's work.

    Attributes:
        whole: the program's, with all stages and what is the same for all cases.
        cases: at least one.
        isolation: see `Batch`, as the others.
        comparison: likewise.
        stop_on_failure: likewise.
        parallel: likewise.
    """

    whole: Plan
    cases: Sequence[CasePlan]
    isolation: Isolation
    comparison: Comparison
    stop_on_failure: bool
    parallel: int

    @property
    def compiles(self) -> bool:
        """Whether there is something to do before the first case."""
        return self.whole.stages[0].name is StageName.COMPILE

    @property
    def compile_stage(self) -> Plan:
        """The plan of a session that only compiles."""
        return replace(self.whole, stages=self.whole.stages[:1], stdin=b"", collect=())

    @property
    def size(self) -> int:
        """Bytes that it takes, beside what its sessions do."""
        cases = sum(len(it.plan.stdin) + len(it.expected or b"") + _CASE_SIZE for it in self.cases)
        return self.whole.files_size + cases


def plan_batch(batch: Batch, language: Language, limits: Limits, warmed: Limits | None = None) -> BatchPlan:
    """Works out what to do.

    Args:
        batch: what the client asks for.
        language: the language that it names.
        limits: what the client may use at most; the batch and its cases may lower it.
        warmed: as for `make_plan`.

    Raises:
        RequestError: as for `make_plan`; names the case that is to blame.
    """
    whole = make_plan(batch.job, language, limits, warmed)
    return BatchPlan(
        whole=whole,
        cases=[_plan_case(index, batch, whole, limits) for index in range(len(batch.cases))],
        isolation=batch.isolation,
        comparison=batch.comparison,
        stop_on_failure=batch.stop_on_failure,
        parallel=batch.parallel,
    )


def _plan_case(index: int, batch: Batch, whole: Plan, limits: Limits) -> CasePlan:
    case = batch.cases[index]
    job = replace(batch.job, args=case.args, env=case.env, stdin=case.stdin, limits=case.limits, collect=case.collect)
    try:
        plan = make_plan(job, whole.language, limits)
        shared = batch.isolation is Isolation.PROCESS
        if shared:
            _check_same_container(plan.limits, whole.limits)
    except RequestError as error:  # What all have in common was found to be right.
        prefix = f"runs[{index}]."
        raise RequestError(f"{prefix}{error.message}", field=f"{prefix}{error.field}") from error
    if shared or len(plan.stages) > 1:  # The program is there already.
        plan = replace(plan, files={}, stages=plan.stages[-1:], may_use_prestart=False)
    return CasePlan(index, replace(plan, gather=True), case.expected)


def _check_same_container(limits: Limits, common: Limits) -> None:
    for name, shown in _OF_A_CONTAINER.items():
        if getattr(limits, name) != getattr(common, name):
            raise RequestError(
                f"limits.{name}: cases that share a container have the same; give `limits.{shown}` for all of them, "
                'beside `runs`, or ask for "isolation": "container"',
                field=f"limits.{name}",
            )
