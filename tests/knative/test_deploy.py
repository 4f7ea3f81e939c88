"""`make deploy`: what it would run, in which order, with which image."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
import yaml

from tests.knative.manifests import ROOT, containers


def commands(**given: str) -> list[str]:
    """What `knative/deploy.sh` prints that it would run."""
    environment = {**os.environ, **given, "DRY_RUN": "1"}
    result = subprocess.run(
        ["knative/deploy.sh"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.removeprefix("+ ") for line in result.stdout.splitlines()]


def position(commands: list[str], *words: str) -> int:
    """Where the last command that has all words stands."""
    return max(n for n, each in enumerate(commands) if all(word in each for word in words))


def test_sources_start_after_every_trigger_is_ready() -> None:
    """And the functions after the Brokers that they send to."""
    run = commands(IMAGE="registry.example.com/kandle:v2", FUNC="func")
    functions = [each for each in run if each.startswith("func deploy")]
    assert len(functions) == len(list(ROOT.glob("functions/*/func.yaml")))
    assert all("--build=false --push=false" in each for each in functions)
    ready = position(run, "wait triggers", "--for=condition=Ready")
    assert position(run, "wait broker") < position(run, "func deploy") < ready
    assert ready < position(run, "apply", "kandle.dev/starts=last")
    everything_else = position(run, "apply", "kandle.dev/starts!=last")
    assert everything_else < position(run, "wait broker")


@pytest.mark.parametrize(
    ("function", "path"), [("candle-aggregate", "functions/candle_aggregate"), ("kandle", ".")]
)
def test_one_function_alone(function: str, path: str) -> None:
    """FUNCTION touches nothing else."""
    first, second = commands(IMAGE="r/kandle:v2", FUNCTION=function)
    assert first == (
        f"kn func deploy --path {path} --namespace kandle --image r/kandle:v2"
        " --build=false --push=false"
    )
    assert second.endswith(f"-l function.knative.dev/name={function}")


@pytest.mark.parametrize("overlay", ["dev", "prod", "small"])
@pytest.mark.parametrize(
    "image", ["localhost:5000/kandle", "localhost:5000/kandle:v2", f"r/kandle@sha256:{'a' * 64}"]
)
def test_everything_runs_the_image(overlay: str, image: str) -> None:
    """Functions, bridges and Jobs, whatever the overlay calls it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    commands(IMAGE=image, OVERLAY=overlay)
    built = subprocess.run(
        ["kubectl", "kustomize", "dist/deploy"], cwd=ROOT, capture_output=True, check=True
    )
    ours = [
        each["image"]
        for manifest in yaml.safe_load_all(built.stdout)
        for each in containers(manifest)
        if "kandle" in each["image"]
    ]
    wanted = image if "v2" in image or "@" in image else f"{image}:latest"
    assert set(ours) == {wanted}
    assert len(ours) >= 5
