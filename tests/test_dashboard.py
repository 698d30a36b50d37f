"""The dashboard's form, and that it and the alerts speak of metrics that there are."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import jsonschema
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.dashboard import DEPLOY, Query, alerts, load, panels, queries
from tests.test_metrics import LANGUAGES, READING
from trio_exec.observe.metrics import Metrics

_TEXT = {"type": "string", "minLength": 1}
_SOURCE = {
    "type": "object",
    "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
_GRID = {
    "type": "object",
    "required": ["x", "y", "w", "h"],
    "properties": {
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "w": {"type": "integer", "minimum": 1, "maximum": 24},
        "h": {"type": "integer", "minimum": 1},
    },
}
_PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "description", "datasource", "gridPos", "fieldConfig", "targets", "options"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["timeseries", "stat", "state-timeline", "heatmap", "table"]},
        "title": _TEXT,
        "description": _TEXT,
        "datasource": _SOURCE,
        "gridPos": _GRID,
        "fieldConfig": {
            "type": "object",
            "required": ["defaults", "overrides"],
            "properties": {"defaults": {"type": "object", "required": ["unit"], "properties": {"unit": _TEXT}}},
        },
        "targets": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["datasource", "expr", "legendFormat", "refId"],
                "properties": {"datasource": _SOURCE, "expr": _TEXT, "refId": {"type": "string", "pattern": "^[A-Z]$"}},
            },
        },
    },
}
_ROW = {
    "type": "object",
    "required": ["id", "title", "gridPos"],
    "properties": {"type": {"const": "row"}, "title": _TEXT, "gridPos": _GRID},
}
SCHEMA = {
    "type": "object",
    "required": ["uid", "title", "schemaVersion", "templating", "annotations", "time", "refresh", "panels", "tags"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
        "title": _TEXT,
        "schemaVersion": {"type": "integer", "minimum": 36},
        "panels": {
            "type": "array",
            "items": {"if": {"properties": {"type": {"const": "row"}}}, "then": _ROW, "else": _PANEL},
        },
    },
}
"""What Grafana needs, and what we want of every panel."""


def test_it_has_the_form_that_grafana_reads() -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(load())


def test_rows_and_variables_are_there() -> None:
    dashboard = load()
    assert [it["title"] for it in dashboard["panels"] if it["type"] == "row"] == [
        "Health",
        "Sessions",
        "Latency",
        "Pool",
        "Docker engine",
        "Limits hit",
        "Resources",
    ]
    assert [it["name"] for it in dashboard["templating"]["list"]] == ["datasource", "instance", "language"]


def test_ids_and_titles_are_unique_and_nothing_lies_on_anything() -> None:
    everything: list[dict[str, Any]] = load()["panels"]
    assert len({it["id"] for it in everything}) == len(everything)
    titles = [it["title"] for it in panels()]
    assert len(set(titles)) == len(titles)
    for one, other in combinations(everything, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (one["title"], other["title"])
    assert all(it["gridPos"]["x"] + it["gridPos"]["w"] <= 24 for it in everything)


def test_every_panel_is_of_the_chosen_instances() -> None:
    for query in queries():
        assert query.expression.count('instance=~"$instance"') >= len(
            re.findall(r"\btrio_exec_\w+\{", query.expression)
        )
        assert "{" in query.expression, query


async def test_all_that_is_asked_for_is_there() -> None:
    metrics = Metrics(LANGUAGES)
    metrics.read(lambda: READING)
    families = list(parse((await metrics.exposition()).decode()))
    there = {sample.name for family in families for sample in family.samples}
    there |= {"trio_exec_engine_errors_total", *(f"trio_exec_engine_call_seconds_{it}" for it in ("count", "bucket"))}

    asked: list[Query] = [*queries(), *(query for _, query in alerts())]
    assert {name for query in asked for name in query.metrics} <= there
    # And what may go wrong is looked at: whatever counts or measures has its place.
    shown = " ".join(query.expression for query in asked)
    aside = {"trio_exec_sessions_created", "process_virtual_memory_bytes", "trio_exec_containers_lingered"}
    aside |= {"trio_exec_images_ready_seconds"}
    assert {family.name for family in families if family.name not in shown} == aside


def test_every_alert_is_tested_and_documented() -> None:
    names = [name for name, _ in alerts()]
    assert len(names) > 15
    tested = (DEPLOY / "prometheus" / "alerts_test.yml").read_text()
    documented = (DEPLOY.parent / "docs" / "metrics.md").read_text()
    for name in names:
        assert f'alertname="{name}"' in tested
    assert re.findall(r"^\| `(TrioExec\w+)` \|", documented, re.MULTILINE) == names
