"""Workloads: variables, secrets, ports, labels and rights agree, which admission does not check."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from functions.exchange_bridge import backfill
from functions.exchange_bridge.settings import Settings
from local.servers.s3 import BUCKETS
from shared.market.shards import DEFAULT_SHARDS
from shared.sources.feed_choice import parse_feeds
from tests.knative.manifests import (
    OVERLAYS,
    ROOT,
    bound,
    built,
    containers,
    name,
    of,
    required_settings,
    sources,
    template,
    variables,
)

pytestmark = pytest.mark.processes

EXAMPLE = {
    each["metadata"]["name"]: set(each["stringData"])
    for each in yaml.safe_load_all((ROOT / "knative/secrets/example.yaml").read_text())
}
"""Secrets, each with its keys."""


@pytest.mark.parametrize("directory", OVERLAYS)
def test_every_variable_that_must_be_set_is_set(directory: str) -> None:
    """Each required variable is set by the workload or, for K_SINK, by its SinkBinding."""
    bindings = {bound(each) for each in of(directory, "SinkBinding")}
    for each in of(directory, "ksvc", "Deployment"):
        workload = each["metadata"]["name"]
        given = set(variables(next(iter(template(each)["spec"]["containers"]))))
        given |= {"K_SINK"} if workload in bindings else set()
        missing = [each for each in required_settings(sources(workload)) if not each & given]
        assert not missing, workload


@pytest.mark.parametrize("directory", OVERLAYS)
def test_a_rollout_waits_for_the_new_pod(directory: str) -> None:
    """A new pod of a Deployment is ready only when it serves, so that no datagram goes nowhere.

    The listener takes datagrams until senders have another pod; a bridge has time to subscribe.
    """
    deployments = {each["metadata"]["name"]: each for each in of(directory, "Deployment")}
    serving = {key: template(each)["spec"]["containers"][0] for key, each in deployments.items()}
    assert all("readinessProbe" in each for each in serving.values())
    if "udp-listener" in serving:
        assert serving["udp-listener"]["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    if "exchange-bridge" in deployments:
        assert deployments["exchange-bridge"]["spec"]["minReadySeconds"] > 0


@pytest.mark.parametrize("directory", OVERLAYS)
def test_secrets_are_named_and_never_written(directory: str) -> None:
    """Each key of a Secret is in the example, and no manifest has a secret's value."""
    assert not of(directory, "Secret")
    for each in built(directory):
        for container in containers(each):
            for key, variable in variables(container).items():
                if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) is not None:
                    assert reference["key"] in EXAMPLE[reference["name"]], name(each)
                else:
                    secret = re.search(r"PASSWORD|TOKEN|SECRET|ACCESS_KEY", key)
                    assert not secret, f"{name(each)}: {key}"
                    assert "@" not in str(variable.get("value", "")), f"{name(each)}: {key}"


def test_production_reads_every_secret_from_the_vault() -> None:
    """Production reads each named secret from the vault, optional ones too."""
    directory = "knative/overlays/prod"
    named = {
        reference["name"]
        for each in built(directory)
        for container in containers(each)
        for variable in variables(container).values()
        if (reference := variable.get("valueFrom", {}).get("secretKeyRef")) is not None
    }
    made = {
        each["spec"]["target"]["name"]: each["spec"]["dataFrom"]
        for each in of(directory, "ExternalSecret")
    }
    assert "kandle-feeds" in named <= set(made)
    for secret in EXAMPLE.keys() & made.keys():
        (source,) = made[secret]
        assert source["extract"]["key"] == secret.replace("kandle-", "kandle/")


@pytest.mark.parametrize("overlay", ["dev", "small", "prod"])
def test_an_overlay_builds_with_stores_elsewhere(tmp_path: Path, overlay: str) -> None:
    """With external-stores in place of infrastructure an overlay builds, without the stores."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    for folder in ("eventing", "knative"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    directory = tmp_path / "knative" / "overlays" / overlay
    file = directory / "kustomization.yaml"
    text = file.read_text()
    assert "../../infrastructure\n" in text
    file.write_text(text.replace("../../infrastructure\n", "../../external-stores\n"))
    done = subprocess.run(
        ["kubectl", "kustomize", str(directory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]
    made = {name(each) for each in yaml.safe_load_all(done.stdout)}
    assert "NetworkPolicy/functions-to-stores" in made
    assert not [each for each in made if each.startswith("StatefulSet/")]


@pytest.mark.parametrize("directory", OVERLAYS)
def test_every_pod_may_run_under_pod_security_restricted(directory: str) -> None:
    """Each pod meets Pod Security `restricted`, with a read-only root and memory limits."""
    for each in built(directory):
        for container in containers(each):
            pod = template(each)["spec"].get("securityContext", {})
            context = {**pod, **container["securityContext"]}
            assert context["runAsNonRoot"] is True, name(each)
            assert context["allowPrivilegeEscalation"] is False, name(each)
            assert context["capabilities"] == {"drop": ["ALL"]}, name(each)
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name(each)
            assert context["readOnlyRootFilesystem"] is True, name(each)
            assert container["resources"]["limits"]["memory"], name(each)


def labelled(directory: str) -> Iterator[dict[str, str]]:
    """The labels of every pod, with the one that Serving adds."""
    for each in built(directory):
        if any(True for _ in containers(each)):
            labels = dict(template(each)["metadata"]["labels"])
            if each in of(directory, "ksvc"):
                labels["serving.knative.dev/service"] = each["metadata"]["name"]
            yield labels
        if each["kind"] == "Cluster":  # CloudNativePG's labels
            yield {**each["spec"]["inheritedMetadata"]["labels"], "cnpg.io/cluster": "postgres"}


@pytest.mark.parametrize("directory", OVERLAYS)
def test_every_selector_finds_a_pod(directory: str) -> None:
    """Each selector of a policy or Service matches a pod."""
    pods = list(labelled(directory))
    for each in of(directory, "NetworkPolicy", "PodDisruptionBudget", "Service"):
        spec = each["spec"]
        selector = spec.get("podSelector", spec.get("selector", {}))
        selected = selector if each["kind"] == "Service" else selector.get("matchLabels", {})
        assert any(selected.items() <= pod.items() for pod in pods), name(each)


@pytest.mark.parametrize("directory", OVERLAYS)
def test_ports_agree(directory: str) -> None:
    """A process listens on its container's port, to which its Service leads."""
    workloads = of(directory, "Deployment", "StatefulSet")
    for each in of(directory, "ksvc"):
        (container,) = template(each)["spec"]["containers"]
        assert container["ports"] == [{"containerPort": entry_port()}], name(each)
    for each in workloads:
        for container in containers(each):
            ports = {port["containerPort"] for port in container.get("ports", ())}
            given = {
                int(variable["value"])
                for key, variable in variables(container).items()
                if key.endswith("_PORT")
            }
            assert given <= ports, name(each)
    for service in of(directory, "Service"):
        selector = service["spec"]["selector"].items()
        names = {
            port["name"]
            for each in workloads
            if selector <= template(each)["metadata"]["labels"].items()
            for container in containers(each)
            for port in container.get("ports", ())
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names, name(service)


def entry_port() -> int:
    """The image's port, by its EXPOSE and its entry command."""
    exposed = re.search(
        r"^EXPOSE (\d+)$", (ROOT / "knative/Containerfile").read_text(), re.MULTILINE
    )
    listens = re.search(r"PORT:-(\d+)", (ROOT / "knative/entrypoint.sh").read_text())
    assert exposed
    assert listens
    assert exposed[1] == listens[1]
    return int(exposed[1])


def test_the_image_has_what_the_functions_import() -> None:
    """The image has each folder that FUNCTION_SOURCE or a command names."""
    text = (ROOT / "knative/Containerfile").read_text()
    copied = set(re.findall(r"^COPY (\w+)/ \1/$", text, re.MULTILINE))
    assert {"functions", "shared", "local"} <= copied


@pytest.mark.parametrize("directory", OVERLAYS)
def test_valkey_syncs_each_write_as_on_a_laptop(directory: str) -> None:
    """Valkey syncs each write and evicts nothing, so that a restart loses no acknowledged state."""
    for each in of(directory, "StatefulSet"):
        if each["metadata"]["name"] == "valkey":
            (command,) = next(containers(each))["args"]
            assert "--appendonly yes --appendfsync always" in command
            assert "--maxmemory-policy noeviction" in command


BOUNDS = {"statement_timeout", "idle_in_transaction_session_timeout"}
BOUNDS |= {"client_connection_check_interval", "max_locks_per_transaction"}


@pytest.mark.parametrize("directory", OVERLAYS)
def test_postgres_has_room_for_locks_and_bounds_for_guests(directory: str) -> None:
    """Postgres has locks for a query over all days, bounds for guests' queries, and LZ4."""
    for each in of(directory, "StatefulSet", "Cluster"):
        if each["metadata"]["name"] != "postgres":
            continue
        if each["kind"] == "Cluster":
            given = each["spec"]["postgresql"]["parameters"]
            synchronous = each["spec"]["postgresql"]["synchronous"]
            assert synchronous["dataDurability"] == "required"
            assert 1 <= synchronous["number"] < each["spec"]["instances"] - 1
        else:
            args = next(containers(each))["args"]
            given = dict(arg.split("=", 1) for arg in args if "=" in arg)
        assert given.keys() >= BOUNDS
        assert given["default_toast_compression"] == "lz4"
        laptop = (ROOT / "local/servers/postgres.py").read_text()
        locks = re.search(r'"max_locks_per_transaction": "(\d+)"', laptop)
        assert locks
        assert given["max_locks_per_transaction"] == locks[1]


def pool_sizes(workload: str) -> int:
    """The connections of a function's pools, with its default settings."""
    folder = ROOT / "functions" / workload.replace("-", "_")
    code = "\n".join(path.read_text() for path in folder.glob("*.py"))
    constants = re.findall(r"^(\w+)(?:: Final)? = (\d+)$", code, re.MULTILINE)
    table = (ROOT / "docs" / "configuration.md").read_text()
    defaults = {
        f"settings.{field}": re.search(rf"^\| `{name}` .*?\| (\d+) \|", table, re.MULTILINE)
        for field, name in {"writers": "WRITERS", "connections": "DB_READERS"}.items()
    }
    values = dict(constants) | {name: found[1] for name, found in defaults.items() if found}
    sizes = re.findall(r"Postgres\(\s*[\w.]+,\s*size=([^,)]+)", (folder / "main.py").read_text())
    terms = [values.get(term, term) for size in sizes for term in size.split(" + ")]
    return sum(map(int, terms))


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_postgres_has_a_connection_for_every_pool(overlay: str) -> None:
    """With every function at its largest scale Postgres still has connections for guests."""
    directory = f"knative/overlays/{overlay}"
    pools = {
        each["metadata"]["name"]: pool_sizes(each["metadata"]["name"])
        * int(template(each)["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"])
        for each in of(directory, "ksvc")
    }
    assert {name for name, size in pools.items() if size} >= {"persist", "history-query", "notify"}
    (given,) = re.findall(r"max_connections[=: '\"]+(\d+)", yaml.safe_dump_all(built(directory)))
    assert sum(pools.values()) + 20 <= int(given), pools


@pytest.mark.parametrize("directory", OVERLAYS)
def test_no_replica_of_candle_aggregate_is_without_a_shard(directory: str) -> None:
    """Candle-aggregate has at most as many replicas as shards."""
    for each in of(directory, "ksvc"):
        if each["metadata"]["name"] in ("candle-aggregate", "kandle"):
            given = template(each)["metadata"]["annotations"]
            env = variables(next(containers(each)))
            shards = int(env.get("SHARDS", {}).get("value", DEFAULT_SHARDS))
            assert int(given["autoscaling.knative.dev/max-scale"]) <= shards, name(each)


def test_a_cluster_has_the_buckets_that_the_laptop_has() -> None:
    """The Job creates the laptop's buckets, each accessible to the functions' user."""
    text = (ROOT / "knative/infrastructure/minio.yaml").read_text()
    made = re.search(r"mc mb --ignore-existing (.*)", text)
    assert made is not None
    assert {each.removeprefix("lake/") for each in made[1].split()} == set(BUCKETS)
    (policy,) = (each for each in yaml.safe_load_all(text) if each["kind"] == "ConfigMap")
    allowed: dict[str, set[str]] = {}
    for statement in json.loads(policy["data"]["kandle.json"])["Statement"]:
        for action in statement["Action"]:
            allowed.setdefault(action, set()).update(statement["Resource"])
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert allowed[action] == {f"arn:aws:s3:::{bucket}/*" for bucket in BUCKETS}
    assert allowed["s3:ListBucket"] == {f"arn:aws:s3:::{bucket}" for bucket in BUCKETS}


def test_a_backfill_job_is_bound_and_takes_its_arguments() -> None:
    """A backfill Job has a SinkBinding's labels, reaches its services and takes its arguments."""
    (job,) = of("knative/overlays/backfill", "Job")
    labels = template(job)["metadata"]["labels"]
    assert labels == job["metadata"]["labels"]
    (binding,) = (
        each
        for each in of("knative/overlays/dev", "SinkBinding")
        if (selector := each["spec"]["subject"].get("selector"))
        and selector["matchLabels"].items() <= job["metadata"]["labels"].items()
    )
    assert binding["spec"]["subject"]["apiVersion"] == job["apiVersion"]
    (policy,) = of("knative/overlays/backfill", "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    rules = str(policy["spec"]["egress"])
    assert "knative-eventing" in rules
    assert "'app.kubernetes.io/component': 'store'" in rules
    assert "'port': 443" in rules
    (container,) = containers(job)
    given = {name: str(each.get("value", "given")) for name, each in variables(container).items()}
    settings = Settings.from_env({**given, "K_SINK": "http://broker"})
    assert settings.exchange.symbols
    assert settings.database_url
    assert container["command"] == ["python", "-m", "functions.exchange_bridge.backfill"]
    read = backfill.arguments().parse_args(container["args"])
    assert (read.by, read.from_us) == ("candles", 1_767_225_600_000_000)


@pytest.mark.parametrize("directory", OVERLAYS)
def test_the_bridge_follows_the_list_of_its_config_map(directory: str) -> None:
    """The bridge mounts a folder, since a file mounted alone never changes; keys are optional."""
    found = [e for e in of(directory, "Deployment") if e["metadata"]["name"] == "exchange-bridge"]
    if not found:  # of an overlay beside another
        assert directory.endswith(("/proof", "/backfill"))
        return
    pod = template(found[0])["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "functions.exchange_bridge.feeds"]
    (mount,) = container["volumeMounts"]
    assert "subPath" not in mount
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    (feeds,) = (
        each
        for each in of(directory, "ConfigMap")
        if each["metadata"]["name"] == volume["configMap"]["name"]
    )
    environment = variables(container)
    folder, _, key = environment["FEED_LIST"]["value"].rpartition("/")
    assert folder == mount["mountPath"]
    assert parse_feeds(feeds["data"][key].splitlines())
    for key in EXAMPLE["kandle-feeds"]:
        assert environment[key]["valueFrom"]["secretKeyRef"]["optional"] is True
