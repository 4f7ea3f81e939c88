"""No object waits in a circle or for a later one: overlays, chart and `make deploy`."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.knative.manifests import OVERLAYS, ROOT, Manifest, built, template
from tests.knative.readiness import Key, Readiness, key
from tests.knative.test_chart import helm as helm
from tests.knative.test_chart import rendered
from tests.knative.test_deploy import commands

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("deploy_alone")]

INSTALLS = [each for each in OVERLAYS if not each.endswith(("/proof", "/backfill"))]
SELECTOR = re.compile(r"(!?)([\w./-]+)(?:(!?=)([\w-]+))?")
PLURALS = {
    "broker": "Broker",
    "triggers.eventing.knative.dev": "Trigger",
    "job": "Job",
    "statefulset": "StatefulSet",
    "deployment": "Deployment",
}
SECRET: Key = ("Job", "secrets")
EXTERNAL_SECRET: Key = ("ExternalSecret", "kandle-stores")


def selects(selector: str, manifest: Manifest) -> bool:
    """Whether a label selector of kubectl matches an object."""
    labels = manifest["metadata"].get("labels", {})
    for term in selector.split(","):
        match = SELECTOR.fullmatch(term)
        assert match, term
        absent, label, operator, value = match.groups()
        if operator is None and (label in labels) is bool(absent):
            return False
        if operator is not None and (labels.get(label) == value) is (operator == "!="):
            return False
    return True


def dead_waits(run: list[str], objects: tuple[Manifest, ...]) -> Iterator[str]:
    """Waits of a sequence of commands that would last forever, each with its reason."""
    applied: dict[Key, Manifest] = {}
    for command in run:
        graph = Readiness.of(applied.values())
        if match := re.match(r"kubectl apply -k \S+ -l (\S+)", command):
            new = [each for each in objects if selects(match[1], each)]
            assert new, command
            applied |= {key(each): each for each in new}
        elif match := re.search(r"\bdeploy --path (\S+)", command):
            name = "kandle" if match[1] == "." else match[1].removeprefix("functions/")
            service: Key = ("ksvc", name.replace("_", "-"))
            applied[service] = next(each for each in objects if key(each) == service)
            graph = Readiness.of(applied.values())  # func waits for the Service to be Ready
            if service in graph.never_ready():
                yield f"{command}: {service} waits for {graph.never_ready()[service]}"
        elif match := re.search(r"\bwait secret/", command):
            if not {SECRET, EXTERNAL_SECRET} & graph.ready():
                yield f"{command}: nobody makes it"
        elif match := re.search(r"\bwait (?:job/)?(\S+)", command):
            kind = PLURALS.get(match[1], "Job")
            waited = {each for each in graph.needs if each[0] == kind}
            if named := re.search(r"(?:metadata\.name=|job/)(\S+)", command):
                waited = {("Job", named[1])}
            assert waited, command
            for each in waited - graph.ready():
                missing = graph.never_ready().get(each, {("it was not", "applied")})
                yield f"{command}: {each} waits for {missing}"


@pytest.mark.parametrize("directory", INSTALLS)
def test_all_becomes_ready_when_it_is_applied_at_once(directory: str) -> None:
    """`kubectl apply -k` of an overlay makes all of it Ready, in any order."""
    graph = Readiness.of(built(directory))
    assert len(graph.needs) > 50
    assert not graph.never_ready()
    assert not graph.circle()


@pytest.mark.parametrize("overlay", ["dev", "prod", "small"])
def test_no_wait_of_make_deploy_is_for_a_later_object(overlay: str) -> None:
    """Each `wait` and `kn func deploy` needs only objects applied before it."""
    run = commands(IMAGE="r/kandle:v1", OVERLAY=overlay)
    objects = built(f"knative/overlays/{overlay}")
    assert not list(dead_waits(run, objects))
    applied = {key(each) for each in objects}
    reached = {
        key(each)
        for each in objects
        for command in run
        if (match := re.match(r"kubectl apply -k \S+ -l (\S+)", command))
        and selects(match[1], each)
    }
    assert reached == applied


def test_all_of_the_chart_becomes_ready(helm: Any) -> None:
    """`helm install`, which applies all at once, makes all of it Ready."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    objects: list[Manifest] = [account]
    for (kind, name), each in rendered(helm, "kandle").items():
        named = copy.deepcopy(each)
        named["metadata"]["name"] = name.removesuffix("-1") if kind == "Job" else name
        objects.append(named)
    graph = Readiness.of(objects)
    assert len(graph.needs) > 50
    assert not graph.never_ready()


@pytest.mark.parametrize("directory", INSTALLS)
def test_sources_wait_for_every_trigger_that_may_lose_nothing(directory: str) -> None:
    """Both init containers wait for each Trigger by name.

    `kubectl wait --all` lists once, and finds none.
    """
    triggers = {
        each["metadata"]["name"]: each for each in built(directory) if each["kind"] == "Trigger"
    }
    reliable = {
        name for name, each in triggers.items() if "deadLetterSink" in each["spec"]["delivery"]
    }
    for each in built(directory):
        if each["metadata"].get("labels", {}).get("kandle.dev/starts") != "last":
            continue
        for container in template(each).get("spec", {}).get("initContainers", ()):
            prefix = "trigger.eventing.knative.dev/"
            named = {arg.removeprefix(prefix) for arg in container["args"] if prefix in arg}
            assert reliable <= named <= set(triggers), container["name"]


BROKER_READY_FIRST = """
kubectl apply -k dist/deploy -l !function.knative.dev/name,kandle.dev/starts!=last
kubectl wait broker --all -n kandle --for=condition=Ready --timeout=10m
kubectl wait job/migrations -n kandle --for=condition=Complete --timeout=10m
kn func deploy --path functions/dead_letter --namespace kandle
""".strip().splitlines()


def test_a_wait_for_brokers_before_their_dead_letter_sink_is_found() -> None:
    """A wait for Brokers before their dead letter sink is found as a dead wait."""
    found = list(dead_waits(BROKER_READY_FIRST, built("knative/overlays/dev")))
    brokers = [each for each in built("knative/overlays/dev") if each["kind"] == "Broker"]
    assert len(found) == len([b for b in brokers if "deadLetterSink" in b["spec"]["delivery"]])
    assert all("'ksvc', 'dead-letter'" in each for each in found)


def test_a_broker_whose_sink_is_bound_to_it_is_found() -> None:
    """A circle of Broker, its sink's Service and that Service's binding is found."""
    objects = copy.deepcopy(built("knative/overlays/small"))
    (broker,) = (each for each in objects if key(each) == ("Broker", "kandle"))
    broker["spec"]["delivery"]["deadLetterSink"] = {
        "ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "kandle"},
        "uri": "/dead-letter",
    }
    graph = Readiness.of(objects)
    assert set(graph.circle()) == {
        ("Broker", "kandle"),
        ("ksvc", "kandle"),
        ("SinkBinding", "kandle-to-kandle"),
    }
    assert {kind for kind, _ in graph.never_ready()} >= {"Trigger", "PingSource"}


def test_a_source_that_waits_for_a_missing_trigger_is_found() -> None:
    """A source that waits for a missing Trigger, as after a typing error, is found."""
    objects = [
        each for each in built("knative/overlays/dev") if key(each) != ("Trigger", "normalize")
    ]
    waiting = Readiness.of(objects).never_ready()
    assert waiting["Deployment", "udp-listener"] == {("Trigger", "normalize")}


def test_config_nats_in_the_docs_is_the_one_that_the_script_makes() -> None:
    """The docs' config-nats is the script's, with the options that survive a NATS outage."""
    script = (ROOT / "knative" / "config-nats.sh").read_text()
    (made,) = re.findall(r"<<MANIFEST\n(.*?)MANIFEST", script, re.DOTALL)
    options = yaml.safe_load(yaml.safe_load(made)["data"]["eventing-nats"])
    assert options["connOpts"] == {
        "retryOnFailedConnect": True,
        "maxReconnects": 1_000_000,
        "reconnectWaitMilliseconds": 2000,
    }
    docs = (ROOT / "docs" / "deploy.md").read_text()
    documented = re.findall(r"```yaml\n(apiVersion: v1\nkind: ConfigMap\n.*?)```", docs, re.DOTALL)
    assert len(documented) == 2
    for text in documented:
        found = yaml.safe_load(text)
        assert found["metadata"] == {"name": "config-nats", "namespace": "knative-eventing"}
        assert yaml.safe_load(found["data"]["eventing-nats"])["connOpts"] == options["connOpts"]
