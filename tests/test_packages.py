"""What is imported is declared, and what is declared is locked."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LIGHT: list[str] = PROJECT["project"]["dependencies"]
"""What every installation has."""
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
SERVER: list[str] = [*LIGHT, *EXTRAS["server"]]
OTEL: list[str] = [*SERVER, *EXTRAS["otel"]]
GROUPS: dict[str, list[str | dict[str, str]]] = PROJECT["dependency-groups"]
PINNED = re.compile(r"([a-z0-9-]+)==(\S+)( ; .+)?")


def group(name: str) -> Iterator[str]:
    for entry in GROUPS[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from group(entry["include-group"])


def names(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


def imports(path: Path) -> Iterator[str]:
    """Names of the packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def locked(name: str) -> dict[str, str]:
    """The requirements file as entries without their hashes, by name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = [line.removesuffix(" \\") for line in text.splitlines() if not line.startswith((" ", "#"))]
    matches = [PINNED.fullmatch(entry) for entry in entries]
    assert all(matches), entries
    return {match[1]: match[0] for match in matches if match}


@pytest.mark.parametrize(
    ("directory", "declared"),
    [
        ("trio_exec/client", LIGHT),
        ("trio_exec", OTEL),
        ("tests", [*OTEL, *group("dev")]),
        ("benchmarks", [*SERVER, *group("dev")]),
        ("script", [*SERVER, *group("dev")]),
    ],
)
def test_every_import_is_declared(directory: str, declared: list[str]) -> None:
    own = {"trio_exec", "tests", "benchmarks"}
    distributions = packages_distributions()
    undeclared: dict[str, str] = {}
    for path in (ROOT / directory).rglob("*.py"):
        for package in set(imports(path)) - own - sys.stdlib_module_names:
            providers = {canonicalize_name(provider) for provider in distributions.get(package, [package])}
            if not providers & names(declared):
                undeclared[package] = str(path.relative_to(ROOT))

    assert undeclared == {}


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("client", LIGHT),
        ("server", SERVER),
        ("build", list(group("build"))),
        ("otel", OTEL),
        ("dev", [*OTEL, *group("dev")]),
    ],
)
def test_every_range_is_locked(name: str, declared: list[str]) -> None:
    pins = locked(name)
    for requirement in map(Requirement, declared):
        pin = Requirement(pins[canonicalize_name(requirement.name)])
        (version,) = pin.specifier

        assert requirement.specifier.contains(version.version), f"run script/lock: {requirement}"


@pytest.mark.parametrize("name", ["client", "server", "otel", "build"])
def test_one_version_of_each_package(name: str) -> None:
    versions = {package: pin.partition(" ;")[0] for package, pin in locked(name).items()}
    in_dev = {package: pin.partition(" ;")[0] for package, pin in locked("dev").items()}

    assert versions.items() <= in_dev.items()


@pytest.mark.parametrize("name", ["client", "server", "otel", "build", "dev"])
def test_the_lock_is_versions_and_hashes_and_nothing_else(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()

    assert lines[0].startswith("# ")
    for line in lines[1:]:
        entry = line.removesuffix(" \\")
        assert PINNED.fullmatch(entry) or re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", entry), line
