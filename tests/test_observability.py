"""Dashboards, alert rules, runbook and metrics use the same names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from shared.runtime import metrics

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "knative" / "observability"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
OTHERS = {
    # from Prometheus itself and the Python client
    *("up", "process_resident_memory_bytes"),
    # prometheus-nats-exporter, -jsz=all
    *("jetstream_consumer_num_pending", "jetstream_consumer_num_ack_pending"),
    *("jetstream_stream_total_bytes", "jetstream_stream_limit_bytes"),
}
WORDS = {"by", "sum", "max", "min", "or", "and", "unless", "rate", "increase", "abs", "le", "s"}
WORDS |= {"histogram_quantile", "vector"}


def exposed() -> dict[str, tuple[str, ...]]:
    """Each metric that a scrape of Kandle can have, with its labels."""
    names = {}
    for each in vars(metrics).values():
        if isinstance(each, Counter):
            names[f"{each._name}_total"] = each._labelnames
        elif isinstance(each, Histogram):
            for end in ("bucket", "sum", "count"):
                names[f"{each._name}_{end}"] = (*each._labelnames, "le")
        elif isinstance(each, Gauge):
            names[each._name] = each._labelnames
    names[metrics.TRIGGER_LAG] = ("trigger",)
    names[f"{metrics.TRIGGER_EVENTS}_total"] = ("trigger", "outcome")
    return names


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def panels() -> Iterator[tuple[str, str]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def names_in(expression: str) -> set[str]:
    """The metrics of a PromQL expression: the words left without labels and ranges."""
    bare = re.sub(r"\b(by|without)\s*\([^)]*\)|\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", " ", expression)
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS


def labels_in(expression: str) -> set[str]:
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    matched = re.findall(r"\{([^}]*)\}", expression)
    found = {label.strip() for some in grouped for label in some.split(",")}
    return found | {m for some in matched for m in re.findall(r"(\w+)\s*[=!]", some)}


def expressions() -> list[tuple[str, str]]:
    """Each query of the dashboards and of the alerts, with its place."""
    return [*panels(), *((rule["alert"], rule["expr"]) for rule in rules())]


def test_what_is_asked_for_is_exposed() -> None:
    """Each queried metric exists and has the labels that it is grouped by."""
    known = exposed()
    for where, expression in expressions():
        names = names_in(expression)
        assert names, f"{where}: no metric"
        assert names <= known.keys() | OTHERS, where
        if names <= known.keys():
            labels = {label for each in names for label in known[each]}
            assert labels_in(expression) <= labels | {"namespace"}, where


def test_docs_name_metrics_as_they_are_exposed() -> None:
    """Each metric in the docs has the name that a scrape has, with its `_total`."""
    names = {name.removesuffix("_bucket") for name in exposed()}
    names |= {metrics.TRIGGER_IN_FLIGHT, f"{metrics.BROKER_EVENTS}_total"}
    for path in (ROOT / "docs").rglob("*.md"):
        told = set(re.findall(r"\bkandle_[a-z0-9_]+\b", path.read_text()))
        assert told <= names, path.name


def test_replicas_of_a_stream_are_not_added_up() -> None:
    """Each NATS server reports its replicas of a stream: no query adds them up."""
    for where, expression in expressions():
        assert not re.search(r"sum(?: by \([^)]*\))? ?\(jetstream_", expression), where


def test_an_absence_is_alerted_on_without_any_series() -> None:
    """An alert on a rate of 0 also fires if no pod has the series: a pod that never started."""
    quiet = [rule["expr"] for rule in rules() if re.search(r"sum\(rate.*== 0$", rule["expr"])]
    assert quiet
    assert all(" or vector(0)) == 0" in each for each in quiet)


def test_every_alert_is_in_the_runbook() -> None:
    """Each alert has a severity, a sentence and a runbook entry, and no entry is without one."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    entries = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    alerts = [rule["alert"] for rule in rules()]
    assert sorted(alerts) == sorted(entries)
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_links_within_the_runbook_lead_somewhere() -> None:
    """Each link within the runbook is an anchor as GitHub makes them."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    assert set(re.findall(r"\(#([\w-]+)\)", text)) <= anchors


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap(path: Path) -> None:
    """Each panel has its own place in Grafana's 24 columns, and an id."""
    dashboard = json.loads(path.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) == len(dashboard["panels"])


def test_every_metric_has_one_scheme() -> None:
    """Each metric is named `kandle_...` and has a sentence of help."""
    for name, each in vars(metrics).items():
        if isinstance(each, Counter | Gauge | Histogram):
            assert re.fullmatch(r"kandle_[a-z0-9_]+", each._name), name
            assert each._documentation.endswith((".", "0.")), name
