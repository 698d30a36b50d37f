"""A session that formats a program, and does not run it: one stage, whose command changes files in their places."""

from __future__ import annotations

from dataclasses import replace

from trio_exec.errors import RequestError
from trio_exec.languages import Language, Sizes
from trio_exec.limits import Limits, lowered
from trio_exec.model import Job, StageName
from trio_exec.session.plan import Plan, StagePlan, environment, make_plan


def formatted_files(job: Job, language: Language) -> list[str]:
    """Which of a program's files are formatted: its source files, the main one first."""
    names = list(job.files) if job.code is None else [language.source_file, *job.files]
    return language.sources(names)


def plan_format(job: Job, language: Language, limits: Limits) -> Plan:
    """Works out what to do. It takes the place of a compile stage, with what that may use at most.

    Args:
        job: the program.
        language: the language that it names.
        limits: what the client may use at most.

    Raises:
        RequestError: the language has no formatter, or the files can't be used; as for `make_plan`.
    """
    formatter = language.format
    if formatter is None:
        raise RequestError(
            f"language: there is no formatter for {language.title}; GET /languages says which languages have one "
            "(`formats`)",
            field="language",
        )
    sources = formatted_files(job, language)
    for name in sources:
        if any(part.startswith(".") for part in name.split("/")):
            raise RequestError(
                f"files: {name!r} can't be formatted, since a part of its name begins with a dot; rename it",
                field="files",
            )
    wanted = {"compile_timeout": formatter.timeout, "compile_memory_bytes": formatter.memory_bytes}
    limits = lowered(limits, {name: value for name, value in wanted.items() if value is not None})
    plan = make_plan(job, language, limits)
    sizes = Sizes(limits.memory_bytes, limits.processors(StageName.COMPILE))
    stage = StagePlan(
        name=StageName.COMPILE,
        command=formatter.expand(sources, sizes),
        environment=environment(language, sizes, terminal=False),
        interactive=False,
        wall_time=limits.compile_timeout,
        cpu_time=None,
        resources=limits.resources(StageName.COMPILE),
    )
    return replace(plan, stages=(stage,), may_use_prestart=False, collect=("**",))
