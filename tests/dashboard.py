"""The dashboard and the alerts, as tests see them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parent.parent / "deploy"
DASHBOARD = DEPLOY / "grafana" / "trio-exec.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
VARIABLES = {"$instance": ".*", "$language": ".*", "$__rate_interval": "30s"}


def load() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


@dataclass(frozen=True)
class Query:
    """One of a panel's, or of an alert."""

    where: str
    expression: str

    @property
    def filled(self) -> str:
        """With something in the place of the dashboard's variables."""
        text = self.expression
        for name, value in VARIABLES.items():
            text = text.replace(name, value)
        assert "$" not in text, text
        return text

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics in it."""
        without_strings = re.sub(r'"[^"]*"', "", self.expression)
        return set(re.findall(r"\b((?:trio_exec|process)_\w+)", without_strings))

    def __str__(self) -> str:
        return self.where


def panels() -> list[dict[str, Any]]:
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """All of the dashboard's."""
    for panel in panels():
        for target in panel["targets"]:
            yield Query(f"{panel['title']} {target['refId']}", target["expr"])
    for annotation in load()["annotations"]["list"]:
        yield Query(annotation["name"], annotation["expr"])


def alerts() -> Iterator[tuple[str, Query]]:
    """Names, and what they look at. A YAML file of so plain a form needs no parser."""
    parts = re.split(r"^ {6}- alert: (\w+)\n", ALERTS.read_text(), flags=re.MULTILINE)[1:]
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        match = re.search(r"^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)", body, re.MULTILINE)
        assert match, name
        yield name, Query(name, match[1] or match[2])
