from __future__ import annotations

from pathlib import Path

import pytest

from local.errors import ManifestError, UsageError
from local.topology.environment import Values, localised, resolve
from local.topology.eventing import load_eventing
from local.topology.repository import repository
from local.topology.selection import select_deployments, select_functions, sink_environment
from local.topology.workloads import (
    Function,
    load_config_maps,
    load_deployments,
    load_functions,
)

FUNCTION = """\
specVersion: 0.36.0
name: normalize
runtime: python
created: '2026-11-21T00:00:00Z'
run:
  envs:
    - name: PLAIN
      value: 'x'
    - name: FROM_SECRET
      value: '{{ secret:stores:URL }}'
    - name: FROM_MAP
      value: '{{ configMap:settings:lateness }}'
    - name: FROM_HERE
      value: '{{ env:WHO }}'
deploy:
  namespace: market
  labels:
    - key: kandle.dev/endpoint
      value: api
  healthEndpoints:
    readiness: /ready
  options:
    resources:
      limits:
        concurrency: 8
"""
VALUES = Values({"stores": {"URL": "db://x"}}, {"settings": {"lateness": "5s"}}, {"WHO": "me"})

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: listener, namespace: market}
spec:
  template:
    spec:
      containers:
        - name: listener
          command: [python, -m]
          args: [listener]
          env:
            - {name: UDP_PORT, value: "5005"}
            - name: PASSWORD
              valueFrom: {secretKeyRef: {name: stores, key: URL}}
          ports:
            - {name: ticks, containerPort: 5005, protocol: UDP}
---
kind: Service
"""


def function(directory: Path, text: str = FUNCTION, name: str = "normalize") -> Function:
    (directory / name).mkdir(exist_ok=True)
    (directory / name / "func.yaml").write_text(text)
    return load_functions(directory)[0]


def test_a_function_is_read_as_kn_func_reads_it(tmp_path: Path) -> None:
    """Name, namespace, health, labels and concurrency are read with kn func's defaults."""
    read = function(tmp_path)
    assert read.host == "normalize.market.svc.cluster.local"
    assert read.endpoint == "api"
    assert read.readiness == "/ready"
    assert read.concurrency == 8


def test_every_form_of_a_value_is_resolved(tmp_path: Path) -> None:
    """Plain values, keys of Secrets and ConfigMaps, and local variables are resolved."""
    assert resolve(function(tmp_path).env, VALUES) == {
        "PLAIN": "x",
        "FROM_SECRET": "db://x",
        "FROM_MAP": "5s",
        "FROM_HERE": "me",
    }


def test_all_missing_values_are_reported_at_once(tmp_path: Path) -> None:
    """All missing values are reported at once with file, field and the existing ones."""
    read = function(tmp_path)
    with pytest.raises(ManifestError) as caught:
        resolve(read.env, Values({"stores": {"URI": ""}}, {}, {}))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "func.yaml: run.envs[1]: secret 'stores' has no key 'URL'; it has: URI" in lines[0]
    assert "run.envs[2]: there is no configMap 'settings'" in lines[1]
    assert "run.envs[3]: the variable WHO is not set" in lines[2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: normalize\n", "", r"func\.yaml: name: is required"),
        ("created: '2026-11-21T00:00:00Z'\n", "", r"func\.yaml: created: is required"),
        ("value: 'x'", "value: 5", r"run\.envs\[0\]\.value: must be a string"),
        ("{{ secret:stores:URL }}", "{{ vault:stores:URL }}", r"run\.envs\[1\]\.value: .*none of"),
        (
            "{{ secret:stores:URL }}",
            "{{ secret:stores }}",
            r"run\.envs\[1\]\.value: .*names no key",
        ),
        ("concurrency: 8", "concurrency: many", r"limits\.concurrency: must be a whole number"),
        ("deploy:", "deploy: [", r"func\.yaml: is not YAML"),
    ],
)
def test_a_mistake_is_named_by_file_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """The error of a manifest has its file and field."""
    assert old in FUNCTION
    with pytest.raises(ManifestError, match=message):
        function(tmp_path, FUNCTION.replace(old, new))


def test_two_functions_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two functions of one name, which would share events, are refused."""
    function(tmp_path)
    with pytest.raises(ManifestError, match=r"'normalize' is also in .*normalize/func\.yaml"):
        function(tmp_path, name="other")


def test_a_deployment_is_read_from_among_other_objects(tmp_path: Path) -> None:
    """A Deployment is read with command, arguments, environment and ports; others are skipped."""
    (tmp_path / "listener.yaml").write_text(DEPLOYMENT)
    (read,) = load_deployments(tmp_path)
    assert read.command == ("python", "-m", "listener")
    assert resolve(read.env, VALUES) == {"UDP_PORT": "5005", "PASSWORD": "db://x"}
    assert read.ports == {"ticks": 5005}


def test_a_deployment_without_a_command_is_refused(tmp_path: Path) -> None:
    """A Deployment without a command is refused, since the image has no entry point."""
    text = DEPLOYMENT.replace("[python, -m]", "[]").replace("[listener]", "[]")
    (tmp_path / "listener.yaml").write_text(text)
    with pytest.raises(ManifestError, match=r"Deployment/listener: .*containers\[0\]\.command"):
        load_deployments(tmp_path)


def test_addresses_of_the_cluster_become_local_ones() -> None:
    """Only whole host names become local addresses, with or without the implied port."""
    addresses = {"a.ns.svc.cluster.local": "http://127.0.0.1:1"}
    for given, expected in (
        ("http://a.ns.svc.cluster.local", "http://127.0.0.1:1"),
        ("http://a.ns.svc.cluster.local/path?q", "http://127.0.0.1:1/path?q"),
        ("http://a.ns.svc.cluster.local:80/x", "http://127.0.0.1:1/x"),
        ("http://a.ns.svc.cluster.local.evil/", "http://a.ns.svc.cluster.local.evil/"),
        ("http://b.ns.svc.cluster.local", "http://b.ns.svc.cluster.local"),
    ):
        assert localised(given, addresses) == expected


def test_the_projects_own_topology_is_complete() -> None:
    """Every function and bridge has all its values, and `all` selects each of them."""
    root = repository()
    eventing = load_eventing(root / "eventing")
    functions = load_functions(root / "functions")
    config_maps = load_config_maps(root / "eventing")
    assert select_functions(functions, "all", eventing, everything=True) == functions
    assert {each.endpoint for each in functions} >= {"api", "ingest"}
    stores = {
        *("NATS_URL", "NATS_BROWSER_URL", "REDIS_URL", "DATABASE_URL"),
        *("S3_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    }
    values = Values({"kandle-stores": dict.fromkeys(stores, "x")}, config_maps, {})
    for each in functions:
        environment = resolve(each.env, values)
        assert (root / environment["FUNCTION_SOURCE"]).is_file()
    bridges = load_deployments(root / "knative" / "bridges")
    deployments = select_deployments(bridges, eventing, functions)
    assert [each.name for each in deployments] == ["exchange-bridge", "live-grpc", "udp-listener"]
    sources = select_deployments(bridges, eventing, ())
    assert [each.name for each in sources] == ["exchange-bridge", "udp-listener"]
    sink = sink_environment(deployments[0], eventing.sink_bindings)
    assert sink["K_SINK"].endswith("/kandle/ingest")
    assert sink["K_CE_OVERRIDES"] == ""


def test_another_topology_runs_only_what_it_refers_to(tmp_path: Path) -> None:
    """Only subscribers, dead letter sinks and subjects of SinkBindings run."""
    root = repository()
    functions = load_functions(root / "functions")
    for name in ("channel.yaml", "brokers.yaml"):
        (tmp_path / name).write_text((root / "eventing" / name).read_text())
    (tmp_path / "trigger.yaml").write_text(
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\n"
        "metadata: {name: only, namespace: kandle}\n"
        "spec:\n  broker: ingest\n  subscriber: {uri: 'http://normalize.kandle.svc.cluster.local'}\n"
    )
    eventing = load_eventing(tmp_path)
    chosen = select_functions(functions, "all", eventing, everything=False)
    assert {each.name for each in chosen} == {"normalize", "dead-letter"}
    assert select_functions(functions, "none", eventing, everything=False) == ()
    (named,) = select_functions(functions, " persist ,", eventing, everything=False)
    assert named.name == "persist"
    with pytest.raises(UsageError, match="there is no persists; there are: candle-aggregate"):
        select_functions(functions, "persists", eventing, everything=True)
