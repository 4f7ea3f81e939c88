"""`make deploy`: its commands, their order and image."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from local.topology.fields import LOADER
from tests.knative.kubectl import Answer, Kubectl
from tests.knative.manifests import ROOT, containers

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("deploy_alone")]


def commands(**given: str) -> list[str]:
    """The commands that `knative/deploy.sh` prints in a dry run."""
    environment = {**os.environ, **given, "DRY_RUN": "1"}
    result = subprocess.run(
        ["knative/deploy.sh"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.removeprefix("+ ") for line in result.stdout.splitlines() if line[:2] == "+ "]


def position(commands: list[str], *words: str) -> int:
    """The position of the last command with all these words."""
    return max(n for n, each in enumerate(commands) if all(word in each for word in words))


def test_sources_start_after_every_trigger_is_ready() -> None:
    """Sources start after all Triggers are ready, and functions after their Brokers."""
    run = commands(IMAGE="registry.example.com/kandle:v2", FUNC="func")
    functions = [each for each in run if each.startswith("func deploy")]
    assert len(functions) == len(list(ROOT.glob("functions/*/func.yaml")))
    assert all("--build=false --push=false" in each for each in functions)
    ready = position(run, "wait triggers", "--for=condition=Ready")
    brokers = position(run, "wait broker")
    assert (
        position(run, "apply", "kandle.dev/starts!=last") < position(run, "config-nats") < brokers
    )
    assert (
        position(run, "func deploy", "dead_letter") < brokers
    )  # a Broker needs its sink's address
    for each in functions:
        stage = each.split()[3]
        if not stage.endswith(("dead_letter", "udp_bridge")):
            assert brokers < position(run, "func deploy", stage) < ready
    assert ready < position(run, "func deploy", "udp_bridge")  # a source
    assert ready < position(run, "apply", "kandle.dev/starts=last")


@pytest.mark.parametrize(
    ("function", "path"), [("candle-aggregate", "functions/candle_aggregate"), ("kandle", ".")]
)
def test_function_deploys_one_function_only(function: str, path: str) -> None:
    """`FUNCTION` deploys one function and nothing else."""
    first, second = commands(IMAGE="r/kandle:v2", FUNCTION=function)
    assert first == (
        f"kn func deploy --path {path} --namespace kandle --image r/kandle:v2"
        " --build=false --push=false"
    )
    assert second.endswith(f"-l function.knative.dev/name={function}")


BROKERS = (
    "ingest\tFalse\tDeadLetterSinkResolveFailed\t"
    'services.serving.knative.dev "dead-letter" not found\n'
    "ticks\tTrue\t\t\n",
    "ingest\tUnknown\t\t\nticks\tTrue\t\t\n",
    "ingest\tTrue\t\t\nticks\tTrue\t\t\n",
)
"""What a Broker says before, while and after its dead letter sink gets an address."""


def ran(script: str, kubectl: Kubectl, **given: str) -> subprocess.CompletedProcess[str]:
    """`make deploy` or `make move` with recorded answers of kubectl."""
    settings = {"IMAGE": "r/kandle:v2", "FUNC": "true", "PATH": kubectl.path, "POLL_S": "0.01"}
    return subprocess.run(
        [f"knative/{script}.sh"],
        cwd=ROOT,
        env={**os.environ, **settings, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


CLUSTER: dict[str, list[Answer]] = {
    "^(delete|apply|create|rollout)": [""],
    "^get secret/kandle-stores": ["", "secret/kandle-stores\n"],
    "^get configmap config-nats": [""],
    "^get secret kandle-servers": ["kPASSWORD"],
    "^get statefulset": ["statefulset.apps/nats\n"],
    "^get broker": [*BROKERS],
    "^get job": ["migrations\tTrue\tCompletionsReached\tReached expected number\n"],
    "^get triggers": ["", "normalize\tTrue\t\t\n"],
    "^get deployment": ["live-grpc\tTrue\t\t\n"],
    "^get ksvc": ["  live-feed\thttp://live-feed.kandle.example.com\n"],
}


def test_deploy_reports_its_waits_and_the_urls(tmp_path: Path) -> None:
    """Each reason for waiting is printed once, and the URLs at the end.

    The password of config-nats is not printed.
    """
    kubectl = Kubectl(tmp_path / "bin", CLUSTER)
    result = ran("deploy", kubectl)
    assert result.returncode == 0, result.stderr
    words = 'services.serving.knative.dev "dead-letter" not found'
    assert result.stdout.count(f"  ingest: DeadLetterSinkResolveFailed: {words}\n") == 1
    assert "  ingest: has not said anything yet\n" in result.stdout
    assert "  secret/kandle-stores is not there: it comes from the Job secrets" in result.stdout
    assert "  none is there\n" in result.stdout
    ready = "Kandle is ready:\n  live-feed\thttp://live-feed.kandle.example.com\n"
    assert result.stdout.endswith(ready)
    assert "kPASSWORD" not in result.stdout + result.stderr
    (made,) = kubectl.inputs
    assert "nats://channel:kPASSWORD@nats.kandle.svc.cluster.local:4222" in made
    assert yaml.safe_load(yaml.safe_load(made)["data"]["eventing-nats"])["connOpts"]


def test_a_timeout_ends_with_the_reason(tmp_path: Path) -> None:
    """An object that is not ready after PATIENCE_S is an error with its reason and exit code 1."""
    answers: dict[str, list[Answer]] = {
        "^get broker": [BROKERS[0]],
        "^get secret/kandle-stores": ["secret/kandle-stores\n"],
    }
    kubectl = Kubectl(tmp_path / "bin", CLUSTER | answers)
    result = ran("deploy", kubectl, PATIENCE_S="0")
    assert result.returncode == 1
    assert "DeadLetterSinkResolveFailed" in result.stdout
    assert "kandle doctor --cluster" in result.stderr
    assert "Kandle is ready" not in result.stdout


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("url: nats://n:4222\n", "until the dispatcher's pod is deleted"),
        ("url: nats://n:4222\nconnOpts: {maxReconnects: 9}\n", "stays as it is"),
    ],
)
def test_an_existing_config_nats_is_unchanged(tmp_path: Path, found: str, said: str) -> None:
    """An existing config-nats, which may be another team's, is left unchanged.

    One that gives up after two minutes is reported.
    """
    kubectl = Kubectl(tmp_path / "bin", CLUSTER | {"^get configmap config-nats": [found]})
    result = ran("deploy", kubectl)
    assert result.returncode == 0, result.stderr
    assert said in result.stdout + result.stderr
    assert not [each for each in kubectl.calls if each[0] == "create"]


@pytest.mark.parametrize(
    ("overlay", "image"),
    [
        ("dev", "localhost:5000/kandle"),
        ("dev", "localhost:5000/kandle:v2"),
        ("dev", f"r/kandle@sha256:{'a' * 64}"),
        ("prod", "localhost:5000/kandle:v2"),
        ("small", "localhost:5000/kandle:v2"),
    ],
)
def test_every_workload_has_the_given_image(overlay: str, image: str) -> None:
    """Functions, bridges and Jobs have the given image, whatever the overlay calls it."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it builds the kustomizations")
    commands(IMAGE=image, OVERLAY=overlay)
    built = subprocess.run(
        ["kubectl", "kustomize", "dist/deploy"], cwd=ROOT, capture_output=True, check=True
    )
    ours = [
        each["image"]
        for manifest in yaml.load_all(built.stdout, LOADER)
        for each in containers(manifest)
        if "kandle" in each["image"]
    ]
    expected = image if "v2" in image or "@" in image else f"{image}:latest"
    assert set(ours) == {expected}
    assert len(ours) >= 5


def waits(pending: int, at_work: int) -> str:
    """Consumers as NATS reports them: nats-server's /jsz."""
    consumer = f'{{"num_ack_pending": {at_work}, "num_pending": {pending}, "num_waiting": 7}}'
    return f'{{"account_details": [{{"stream_detail": [{{"consumer_detail": [{consumer}]}}]}}]}}'


def test_a_move_removes_nothing_before_it_is_drained(tmp_path: Path) -> None:
    """A move removes no Trigger before all its events are done, as its consumer goes with it."""
    answers: dict[str, list[Answer]] = {
        "^exec nats-0": [waits(3, 1), waits(0, 1), waits(0, 0)],
        "^scale": [""],
    }
    kubectl = Kubectl(tmp_path / "bin", CLUSTER | answers)
    result = ran("move", kubectl, OVERLAY="small")
    assert result.returncode == 0, result.stderr
    assert "  4 events wait or are at work\n  1 events wait or are at work\n" in result.stdout
    said = [" ".join(each) for each in kubectl.calls]
    asked = position(said, "exec nats-0")
    assert position(said, "scale deployment", "--replicas=0") < said.index(said[asked])
    assert asked < position(said, "delete triggers.eventing.knative.dev")
    assert position(said, "delete triggers") < position(said, "apply", "kandle.dev/starts!=last")
    assert "Kandle is ready" in result.stdout


@pytest.mark.parametrize("answer", [waits(2, 0), "nothing of the kind"])
def test_a_move_that_is_not_drained_ends_and_removes_nothing(tmp_path: Path, answer: str) -> None:
    """A move that is not drained, or unknown to NATS, fails and removes nothing."""
    answers: dict[str, list[Answer]] = {"^exec nats-0": [answer], "^scale": [""]}
    kubectl = Kubectl(tmp_path / "bin", CLUSTER | answers)
    assert ran("move", kubectl, OVERLAY="small", PATIENCE_S="0").returncode == 1
    assert not [each for each in kubectl.calls if "triggers" in each[1]]


def test_a_move_to_prod_is_refused(tmp_path: Path) -> None:
    """A move to prod, which has another database, is refused."""
    kubectl = Kubectl(tmp_path / "bin", CLUSTER)
    result = ran("move", kubectl, OVERLAY="prod")
    assert result.returncode == 1
    assert "backup and restore" in result.stderr
