"""The Helm chart, by Helm's own engine, and the other installations of the same base."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.manifests import chart
from local.topology.fields import LOADER
from shared.sources.feed_choice import parse_feeds
from tests.knative.manifests import ROOT, Manifest, built

CHART = ROOT / "knative" / "chart"


@pytest.fixture(scope="module")
def helm() -> Any:
    """Helm as a library; its wheel is for Linux on x86-64 only."""
    return pytest.importorskip("helm_python", reason="no wheel of Helm's engine for this machine")


def rendered(helm: Any, namespace: str, **values: object) -> dict[tuple[str, str], Manifest]:
    """The objects that `helm template` prints, by kind and name."""
    with helm.Chart.load(str(CHART)) as loaded:
        templates = loaded.render(values, name="kandle", namespace=namespace)
    objects = [each for text in templates.values() for each in yaml.load_all(text, LOADER) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.mark.processes
def test_templates_are_up_to_date() -> None:
    """The chart's templates are those that `make services` writes."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    for path, text in chart.files(ROOT).items():
        assert path.read_text() == text, f"{path}: run `make services`"


@pytest.mark.processes
def test_the_chart_installs_what_the_dev_overlay_applies(helm: Any) -> None:
    """The chart's defaults install the dev overlay.

    Except for what Helm makes itself, the switch for tokens and the replicas of streams.
    """
    overlay = {
        (each["kind"], each["metadata"]["name"]): each
        for each in built("knative/overlays/dev")
        if each["kind"] != "Namespace" and each["metadata"]["name"] != "default"
    }
    found = {
        (kind, name.removesuffix("-1") if kind == "Job" else name): each
        for (kind, name), each in rendered(helm, "kandle").items()
    }
    assert set(found) == set(overlay)
    for key, each in found.items():
        if each["kind"] == "Deployment" or "serving" in each["apiVersion"]:
            env = each["spec"]["template"]["spec"]["containers"][0]["env"]
            added = ("API_TOKENS", "STREAM_REPLICAS")
            env[:] = [variable for variable in env if variable["name"] not in added]
        if key == ("Service", "udp-listener"):
            assert each["spec"].pop("type") == "ClusterIP"
        if key == ("ConfigMap", "kandle-channel"):
            text = each["data"]["channel-template-spec"]
            each["data"]["channel-template-spec"] = re.sub(r" *replicas: 1\n", "", text)
        each["metadata"]["name"] = key[1]
        assert each == overlay[key], key


def test_values_are_applied(helm: Any) -> None:
    """Namespace, image, scale, size and external stores follow the values."""
    found = rendered(
        helm,
        "market",
        image="r/kandle:v9",
        infrastructure=False,
        passwords=False,
        channel={"replicas": 3},
        scale={"persist": {"min": 3}},
        feeds=["alpaca:AAPL", "ccxt:bybit:BTC/USDT"],
        feedSecret="exchange-keys",
        settings={"TIMEFRAMES": "1m,1h", "SHARDS": 32, "LIVE_REPLAY_BYTES": 67_108_864},
    )
    for workload in ("candle-aggregate", "history-query", "live-feed", "live-grpc"):
        kind = "Deployment" if workload == "live-grpc" else "Service"
        (container,) = found[kind, workload]["spec"]["template"]["spec"]["containers"]
        given = {each["name"]: each.get("value") for each in container["env"]}
        assert (given["TIMEFRAMES"], given["SHARDS"]) == ("1m,1h", "32"), workload
        assert given["LIVE_REPLAY_BYTES"] == "67108864", workload
        replicas = "3" if workload.startswith("live-") else None
        assert given.get("STREAM_REPLICAS") == replicas, workload
    ports = found["NetworkPolicy", "functions-to-stores"]["spec"]["egress"][0]["ports"]
    assert {each["port"] for each in ports} >= {5432, 6379, 4222, 443}
    assert not [name for kind, name in found if kind in ("StatefulSet", "Secret")]
    persist = found["Service", "persist"]
    template = persist["spec"]["template"]
    assert template["metadata"]["annotations"]["autoscaling.knative.dev/min-scale"] == "3"
    assert template["spec"]["containers"][0]["image"] == "r/kandle:v9"
    env = {each["name"]: each.get("value") for each in template["spec"]["containers"][0]["env"]}
    assert env["NAMESPACE"] == "market"
    assert env["DEAD_LETTER_URL"] == "http://dead-letter.market.svc.cluster.local"
    assert "replicas: 3" in found["ConfigMap", "kandle-channel"]["data"]["channel-template-spec"]
    feeds = found["ConfigMap", "kandle-feeds"]["data"]["feeds"]
    assert [str(each) for each in parse_feeds(feeds.splitlines())] == [
        str(each) for each in parse_feeds(["alpaca:AAPL", "ccxt:bybit:BTC/USDT"])
    ]
    (bridge,) = found["Deployment", "exchange-bridge"]["spec"]["template"]["spec"]["containers"]
    sources = {each["name"]: each.get("valueFrom", {}) for each in bridge["env"]}
    for key in ("ALPACA_KEY_ID", "ALPACA_SECRET_KEY"):
        expected = {"name": "exchange-keys", "key": key, "optional": True}
        assert sources[key] == {"secretKeyRef": expected}
    assert {each["metadata"]["namespace"] for each in found.values()} == {"market"}


@pytest.mark.processes
def test_tokens_are_required_where_prod_requires_them(helm: Any) -> None:
    """The workloads that prod gives API_TOKENS, gRPC too, have them in the chart."""

    def protected(objects: Iterable[Manifest]) -> set[str]:
        return {each["metadata"]["name"] for each in objects if "'API_TOKENS'" in str(each)}

    expected = protected(built("knative/overlays/prod"))
    assert "live-grpc" in expected
    assert protected(rendered(helm, "kandle").values()) == expected


def test_a_setting_replaces_the_charts_own(helm: Any) -> None:
    """A setting is in the environment once; fractions stay fractions."""
    settings = {"STREAM_REPLICAS": 3, "GROUP_COMMIT_MS": 0.5, "HISTORY_S": 0}
    found = rendered(helm, "kandle", settings=settings)
    for workload in ("live-grpc", "exchange-bridge"):
        (container,) = found["Deployment", workload]["spec"]["template"]["spec"]["containers"]
        names = [each["name"] for each in container["env"]]
        assert len(names) == len(set(names)), workload
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given["HISTORY_S"] == "0"
    (container,) = found["Deployment", "live-grpc"]["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert (given["STREAM_REPLICAS"], given["GROUP_COMMIT_MS"]) == ("3", "0.5")
    assert rendered(helm, "kandle", settings=None).keys() == found.keys()


def test_helm_lint_passes(helm: Any) -> None:
    """`helm lint` passes."""
    result = helm.lint(str(CHART))
    assert not result["errors"]
    assert not [each for each in result["messages"] if each["severity"] > 1]


def test_the_charts_scale_is_that_of_func_yaml() -> None:
    """The scale in values.yaml equals that of func.yaml."""
    expected = {}
    for path in ROOT.glob("functions/*/func.yaml"):
        manifest = yaml.safe_load(path.read_text())
        scale = manifest["deploy"]["options"]["scale"]
        expected[manifest["name"]] = {"min": scale["min"], "max": scale["max"]}
    assert yaml.safe_load((CHART / "values.yaml").read_text())["scale"] == expected


@pytest.mark.processes
def test_argo_cd_runs_no_job_twice(tmp_path: Path) -> None:
    """With Argo CD's patches no Job removes itself: with selfHeal Argo CD would create it again."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    application = yaml.safe_load((ROOT / "knative/argocd/application.yaml").read_text())
    source = application["spec"]["source"]
    assert application["spec"]["syncPolicy"]["automated"]["selfHeal"]
    path = os.path.relpath(ROOT / source["path"], tmp_path.resolve())
    kustomization = {"resources": [path], "patches": source["kustomize"]["patches"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    text = subprocess.check_output(["kubectl", "kustomize", str(tmp_path)], text=True)
    jobs = [each for each in yaml.safe_load_all(text) if each["kind"] == "Job"]
    assert jobs
    assert not [each["metadata"]["name"] for each in jobs if "ttlSeconds" in str(each["spec"])]


def test_argo_cd_and_skaffold_name_existing_paths() -> None:
    """The paths and images of Argo CD's and Skaffold's files exist."""
    application = yaml.safe_load((ROOT / "knative/argocd/application.yaml").read_text())
    source = application["spec"]["source"]
    (image,) = source["kustomize"]["images"]
    images = (ROOT / source["path"] / "kustomization.yaml").read_text()
    assert f"newName: {image.partition(':')[0]}," in images
    skaffold = yaml.safe_load((ROOT / "knative/skaffold.yaml").read_text())
    (artifact,) = skaffold["build"]["artifacts"]
    context = ROOT / "knative" / artifact["context"]
    assert (context / artifact["docker"]["dockerfile"]).exists()
    for profile in (skaffold, *skaffold["profiles"]):
        for path in profile["manifests"]["kustomize"]["paths"]:
            assert artifact["image"] in (ROOT / "knative" / path / "kustomization.yaml").read_text()


@pytest.mark.processes
def test_the_terraform_module_is_valid(tmp_path: Path) -> None:
    """The Terraform module is well-formed, and valid where its providers can be fetched."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    module = tmp_path / "terraform"
    shutil.copytree(ROOT / "knative" / "terraform", module)

    def terraform(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", f"-chdir={module}", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert terraform("fmt", "-check").returncode == 0
    if terraform("init", "-backend=false", "-input=false").returncode != 0:
        pytest.skip("terraform's registry is away: its providers say which fields there are")
    checked = terraform("validate", "-no-color")
    assert checked.returncode == 0, checked.stdout + checked.stderr
