"""Settings of the YAML that prevent losses, which the real admission does not check."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.knative.manifests import required_settings

ROOT = Path(__file__).parents[1]
CRDS = ROOT.parent / "shared" / "crds"
FUNCTIONS = sorted(ROOT.glob("functions/*/func.yaml"))


def documents(*kinds: str) -> list[dict[str, Any]]:
    found = []
    for path in sorted(ROOT.glob("eventing/*.yaml")):
        found += [d for d in yaml.safe_load_all(path.read_text()) if d and d["kind"] in kinds]
    return found


def seconds(duration: str) -> float:
    match = re.fullmatch(r"PT(?:(\d+)M)?(?:([\d.]+)S)?", duration)
    assert match, duration
    return int(match[1] or 0) * 60 + float(match[2] or 0)


def redelivery_span_s(delivery: dict[str, Any]) -> float:
    """The longest time from an event's first delivery to the end of its last."""
    retries, delay = int(delivery["retry"]), seconds(delivery["backoffDelay"])
    if delivery["backoffPolicy"] == "linear":
        waits = sum(delay * n for n in range(1, retries + 1))
    else:
        waits = sum(delay * 2**n for n in range(1, retries + 1))
    return waits + (retries + 1) * (seconds(delivery["timeout"]) + 0.5)


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.parent.name)
def test_a_func_yaml_is_what_kn_func_reads(path: Path) -> None:
    """Each func.yaml is valid by the official schema, and has its folder's name."""
    manifest = yaml.safe_load(path.read_text())
    stage = path.parent.name
    environment = {each["name"]: each["value"] for each in manifest["run"]["envs"]}
    assert manifest["name"] == stage.replace("_", "-")
    assert environment["FUNCTION_TARGET"] == stage
    assert environment["FUNCTION_SOURCE"] == f"functions/{stage}/main.py"
    assert manifest["created"]
    schema = CRDS / "func_yaml-schema.json"
    if not schema.exists():
        pytest.skip("the official schema is not here: ../shared/crds is absent")
    jsonschema.validate(manifest, json.loads(schema.read_text()))


@pytest.mark.parametrize("path", FUNCTIONS, ids=lambda path: path.parent.name)
def test_every_setting_without_a_default_is_in_func_yaml(path: Path) -> None:
    """Each setting without a default is in func.yaml, but for the injected K_SINK."""
    manifest = yaml.safe_load(path.read_text())
    given = {each["name"] for each in manifest["run"]["envs"]} | {"K_SINK"}
    code = "\n".join(each.read_text() for each in path.parent.rglob("*.py"))
    missing = [each for each in required_settings(code) if not each & given]
    assert not missing


def test_settings_without_a_default_are_found() -> None:
    """The tests of required settings see how settings are declared."""
    code = Path(ROOT / "functions/candle_aggregate/main.py").read_text()
    assert required_settings(code) == {
        frozenset({"REDIS_URL"}),
        frozenset({"DATABASE_URL", "DB_WRITE_DSN"}),
    }


def is_display(document: dict[str, Any]) -> bool:
    """Whether it is the Broker display, or a Trigger of it."""
    return "display" in (document["metadata"]["name"], document["spec"].get("broker"))


def test_no_trigger_and_no_broker_can_lose_an_event() -> None:
    """Each Trigger and Broker has retries, timeout, sink and backoff.

    Without a backoff a 5xx crashes the dispatcher.
    """
    kinds = [each for each in documents("Trigger", "Broker") if not is_display(each)]
    assert len(kinds) >= 8
    for each in kinds:
        delivery = each["spec"]["delivery"]
        assert delivery["retry"] >= 1, each["metadata"]["name"]
        assert delivery["backoffPolicy"] in ("linear", "exponential")
        assert seconds(delivery["backoffDelay"]) > 0
        assert seconds(delivery["timeout"]) > 0
        assert delivery["deadLetterSink"]["ref"]["name"] == "dead-letter"


def test_what_is_for_display_can_hold_up_nobody() -> None:
    """Display has few retries, no dead letters and a channel that discards old events.

    live-feed takes nothing else.
    """
    display = [each for each in documents("Trigger", "Broker") if is_display(each)]
    assert len(display) == 2
    for each in display:
        delivery = each["spec"]["delivery"]
        assert delivery["retry"] <= 2
        assert "deadLetterSink" not in delivery
        assert seconds(delivery["backoffDelay"]) > 0
    for trigger in documents("Trigger"):
        shows = trigger["spec"]["subscriber"]["ref"]["name"] == "live-feed"
        assert shows == is_display(trigger), trigger["metadata"]["name"]
    config = template("kandle-display-channel")["stream"]["config"]
    assert config["discard"] == "Old"
    assert config["maxBytes"] <= 2**26
    assert config["maxAge"] == "60s"


def test_a_public_function_that_takes_events_has_a_door_for_them() -> None:
    """A public function accepts events only under its host name of the cluster."""
    subscribers = {each["spec"]["subscriber"]["ref"]["name"] for each in documents("Trigger")}
    public = set()
    for path in FUNCTIONS:
        manifest = yaml.safe_load(path.read_text())
        labels = {each["key"]: each["value"] for each in manifest["deploy"].get("labels", ())}
        if labels.get("networking.knative.dev/visibility") != "cluster-local":
            public.add(manifest["name"])
    assert public & subscribers == {"live-feed"}
    for folder in ("live_feed", "pipeline"):
        sources = (path.read_text() for path in (ROOT / "functions" / folder).rglob("*.py"))
        assert any("EventDoor(" in each for each in sources), folder


def template(name: str) -> dict[str, Any]:
    """The channel spec of a ConfigMap."""
    (channel,) = (each for each in documents("ConfigMap") if each["metadata"]["name"] == name)
    spec: dict[str, Any] = yaml.safe_load(channel["data"]["channel-template-spec"])["spec"]
    return spec


def test_every_trigger_names_a_broker_and_a_function_that_exist() -> None:
    """Each Trigger names an existing Broker and function, which admission does not check."""
    brokers = {each["metadata"]["name"] for each in documents("Broker")}
    functions = {yaml.safe_load(path.read_text())["name"] for path in FUNCTIONS}
    for trigger in documents("Trigger"):
        assert trigger["spec"]["broker"] in brokers
        assert trigger["spec"]["subscriber"]["ref"]["name"] in functions


def test_every_type_that_a_trigger_wants_is_a_type_of_kandle() -> None:
    """Each type that a Trigger filters for is one of Kandle's."""
    from shared.wire import events

    known = {value for name, value in vars(events).items() if name.isupper()}
    text = (ROOT / "eventing" / "triggers.yaml").read_text()
    types = set(re.findall(r"type: ([a-z0-9.]+)", text))
    assert types
    assert types <= known


def test_applied_events_are_known_longer_than_every_redelivery() -> None:
    """Postgres records applied events for twice the longest redelivery; markers end sooner."""
    spans = {
        trigger["metadata"]["name"]: redelivery_span_s(trigger["spec"]["delivery"])
        for trigger in documents("Trigger")
    }
    chain = spans["normalize"] + spans["aggregate-ticks"]
    terms = (ROOT / "functions" / "persist" / "row_retention.py").read_text()
    match = re.search(r'"KEEP_APPLIED_D", ([\d_]+)', terms)
    assert match
    assert int(match[1]) * 86_400 >= 2 * chain


def test_an_outage_of_ten_minutes_brings_no_dead_letter() -> None:
    """The waits of a delivery alone are three times an outage of ten minutes.

    The channel stores events for days.
    """
    for trigger in documents("Trigger"):
        if is_display(trigger):
            continue
        delivery = trigger["spec"]["delivery"]
        waits = redelivery_span_s({**delivery, "timeout": "PT0S"})
        assert waits >= 3 * 600, trigger["metadata"]["name"]
    config = template("kandle-channel")["stream"]["config"]
    assert config["maxAge"] == "168h"
    assert config["discard"] == "New"


_READS_A_SETTING = (
    r"(?:(?:text|secret|integer|parsed)\(\s*|overridden_by=|Term\(\"\w+\", )\"([A-Z_0-9]+)\""
)


def test_every_setting_is_in_the_table() -> None:
    """docs/configuration.md has exactly the environment variables that the code reads."""
    table = (ROOT / "docs" / "configuration.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z_0-9]+)`", table, re.MULTILINE))
    read = set()
    for path in [*ROOT.glob("functions/**/*.py"), *ROOT.glob("shared/**/*.py")]:
        read |= set(re.findall(_READS_A_SETTING, path.read_text()))
        read |= set(re.findall(r"mapping\.get\(\"([A-Z_0-9]+)\"", path.read_text()))
    assert read == listed
