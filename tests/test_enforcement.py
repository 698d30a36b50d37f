"""An engine that throws limits away: a real one that does not see some of the machine's controllers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.dockerd import private_dockerd
from tests.support import Client, ServerProcess, running_server
from trio_exec.errors import ConfigurationError, LimitsMissingError
from trio_exec.executor.docker.enforcement import Enforcement
from trio_exec.executor.docker.hardening import Hardening
from trio_exec.executor.images import launcher_image
from trio_exec.executor.machine import Machine
from trio_exec.model import StageName
from trio_exec.settings import Settings

LIMITS = Settings().limits
ASKED = Hardening().host_config(LIMITS, LIMITS.resources(StageName.RUN), None, 50000)
IN_FORCE = {
    "Memory": LIMITS.memory_bytes,
    "MemorySwap": LIMITS.memory_bytes,
    "PidsLimit": LIMITS.pids,
    "CpuPeriod": 100_000,
    "CpuQuota": 50_000,
}


def test_what_is_in_force_as_it_was_asked_for_is_well() -> None:
    Enforcement().check(ASKED, IN_FORCE, ["something else"])


@pytest.mark.parametrize(
    ("missing", "found"),
    [
        ("memory", {"Memory": 0, "MemorySwap": 0}),
        ("swap", {"MemorySwap": -1}),
        ("pids", {"PidsLimit": None}),
        ("cpu", {"CpuQuota": 0, "CpuPeriod": 0}),
        ("memory, pids, cpu", {"Memory": 0, "PidsLimit": 0, "CpuQuota": 0}),
    ],
)
def test_what_is_missing_is_told_with_the_remedy(missing: str, found: dict[str, Any]) -> None:
    with pytest.raises(LimitsMissingError) as refused:
        Enforcement().check(ASKED, IN_FORCE | found, ["Limitation discarded."])
    assert f"does not enforce limits: {missing} (Limitation discarded.); " in refused.value.message
    assert f"by the setting missing_limits={missing.replace(' ', '')}" in refused.value.message


def test_what_may_be_missing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    enforcement = Enforcement(["swap", "cpu"])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            enforcement.check(ASKED, IN_FORCE | {"MemorySwap": -1}, ["Memory limited without swap."])
    assert [record.getMessage() for record in caplog.records] == [
        "programs run without these limits, as missing_limits allows: swap (Memory limited without swap.)"
    ]
    with pytest.raises(LimitsMissingError, match="limits: pids "):
        enforcement.check(ASKED, IN_FORCE | {"MemorySwap": -1, "PidsLimit": 0}, [])


def test_a_rootless_engine_may_have_no_cgroups_at_all() -> None:
    assert Machine.of({"CgroupDriver": "cgroupfs"}).has_cgroups
    assert not Machine.of({"CgroupDriver": "none"}).has_cgroups


def test_a_limit_that_there_is_not_can_not_be_dispensed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIO_EXEC_MISSING_LIMITS", "memory,disk")
    with pytest.raises(ConfigurationError, match="unknown: disk; available: memory, swap, pids, cpu"):
        Settings.load()


@pytest.mark.skipif(not Path("/sys/fs/cgroup/pids").is_dir(), reason="needs cgroup v1, whose controllers can be hidden")
@pytest.mark.parametrize(
    ("controllers", "missing", "greedy"),
    [
        (["memory"], "memory", "x = bytearray(400 << 20)\nprint(len(x) >> 20)"),
        (
            ["pids", "cpu"],
            "pids, cpu",
            "import os\nfor i in range(40):\n  os.fork() or os._exit(0)\nprint(400)",
        ),
    ],
    ids=["memory", "pids and cpu"],
)
async def test_an_engine_without_controllers_is_not_ready_unless_that_is_allowed(
    images: dict[str, str], controllers: list[str], missing: str, greedy: str
) -> None:
    tags = [images["python"], launcher_image().tag]
    with private_dockerd(tags, "1g", without=controllers) as dockerd:
        settings: dict[str, Any] = {"DOCKER_HOST": dockerd.host, "languages": "python"}
        server = ServerProcess(**settings)
        try:
            client = Client(server)
            reason = (await client.until_told("does not enforce limits")).json()["reason"]
            assert f"limits: {missing} (" in reason
            assert "discarded" in reason
            answer = await client.request("POST", "/session", {"language": "python", "code": ""})
            assert (answer.status, answer.json()["code"]) == (503, "engine_unavailable")
        finally:
            server.close()
        assert dockerd.left() == []

        with running_server(**settings, missing_limits=missing.replace(" ", "")) as allowed:
            assert (await Client(allowed).run(language="python", code=greedy)).stdout == "400\n"
            assert allowed.log().count("programs run without these limits") == 1
