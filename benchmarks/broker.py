"""The local broker: events a second and latency, one Trigger, instant subscriber, random bytes.

Generator, subscriber, broker and nats-server are a process each and share the machine. Beside the
numbers stand those of a real Knative broker over JetStream on two shared cores.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._platform import free_port

NAMESPACE = "bench"
LATENCY_RATE = 20.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Size:
    """One row: body size, how many events to send, and what the real broker does (events/s, ms)."""

    size: int
    count: int
    real: tuple[float, float, float]


SIZES = (
    Size(1024, 8000, (674, 2.8, 7.4)),
    Size(32 * 1024, 3000, (254, 6.0, 17.0)),
    Size(256 * 1024, 600, (53, 32.0, 70.0)),
)

MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: channel, namespace: bench}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream: {config: {retention: Interest, storage: File, maxAge: 1h}}
      consumerConfigTemplate: {consumerType: Push, deliverPolicy: New, maxAckPending: 16}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: main
  namespace: bench
  annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}
spec:
  config: {apiVersion: v1, kind: ConfigMap, name: channel}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: benchmark, namespace: bench}
spec:
  broker: main
  filters: [{exact: {type: benchmark}}]
  subscriber:
    ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: subscriber}
  delivery:
    retry: 10
    backoffPolicy: linear
    backoffDelay: PT1S
    deadLetterSink:
      ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: subscriber}
"""


@dataclass(frozen=True)
class Result:
    """Result of one size; latencies in milliseconds."""

    size: int
    events_per_second: float
    p50: float
    p99: float


def run(sizes: tuple[Size, ...] = SIZES, latency_seconds: float = 10.0) -> list[Result]:
    """Measure each size and print a table."""
    results = []
    print(f"{'body':>8} {'events/s':>9} {'real':>6} {'times':>6} {'p50 ms':>8} {'real':>6}", end="")
    print(f" {'p99 ms':>8} {'real':>6}")
    with _running() as (broker_port, subscriber_port):
        for each in sizes:
            _send(broker_port, each.size, 200, 0)  # warm
            _collect(subscriber_port, 200)
            started = _send(broker_port, each.size, each.count, 0)
            _, last_at = _collect(subscriber_port, each.count)
            rate = each.count / (last_at - started)
            count = int(latency_seconds * LATENCY_RATE)
            _send(broker_port, each.size, count, LATENCY_RATE)
            latencies, _ = _collect(subscriber_port, count)
            cuts = statistics.quantiles([value * 1e3 for value in latencies], n=100)
            result = Result(each.size, rate, cuts[49], cuts[98])
            results.append(result)
            real = each.real
            print(
                f"{each.size // 1024:>6}KB {rate:>9.0f} {real[0]:>6.0f} {rate / real[0]:>6.1f} "
                f"{result.p50:>8.1f} {real[1]:>6.1f} {result.p99:>8.1f} {real[2]:>6.1f}",
                flush=True,
            )
    return results


@contextlib.contextmanager
def _running() -> Iterator[tuple[int, int]]:
    """Start nats-server, subscriber and broker; yield the ports of broker and subscriber."""
    beside = Path(sys.executable).with_name("nats-server")
    server = str(beside) if beside.exists() else shutil.which("nats-server")
    if server is None:
        raise SystemExit("nats-server is not installed: make setup")
    nats_port, monitor_port, broker_port, subscriber_port = (
        free_port(socket.SOCK_STREAM) for _ in range(4)
    )
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        (directory / "eventing").mkdir()
        (directory / "eventing" / "all.yaml").write_text(MANIFESTS)
        addresses = {
            f"subscriber.{NAMESPACE}.svc.cluster.local": f"http://127.0.0.1:{subscriber_port}"
        }
        (directory / "addresses.json").write_text(json.dumps(addresses))
        stack.enter_context(
            _process(
                *(server, "--addr", "127.0.0.1", "--port", str(nats_port), "--jetstream"),
                *("--http_port", str(monitor_port), "--store_dir", str(directory / "jetstream")),
                *("--log", str(directory / "nats.log")),
            )
        )
        _wait_for(f"http://127.0.0.1:{monitor_port}/healthz?js-enabled-only=true")
        load = (sys.executable, "-m", "benchmarks.broker_load")
        stack.enter_context(_process(*load, "receive", str(subscriber_port)))
        stack.enter_context(
            _process(
                *(sys.executable, "-m", "local.broker", "--port", str(broker_port)),
                *("--eventing", str(directory / "eventing")),
                *("--addresses", str(directory / "addresses.json")),
                nats_url=f"nats://127.0.0.1:{nats_port}",
            )
        )
        _wait_for(f"http://127.0.0.1:{broker_port}/readyz")
        yield broker_port, subscriber_port


@contextlib.contextmanager
def _process(*command: str, nats_url: str = "") -> Iterator[None]:
    environment = {"NATS_URL": nats_url, "PATH": "", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _send(port: int, size: int, count: int, rate: float) -> float:
    """Run the generator; return when it began, on the monotonic clock that all processes share."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.broker_load", "send", str(port)),
            *(f"/{NAMESPACE}/main", str(size), str(count), str(rate)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return float(json.loads(done.stdout)["started"])


def _collect(port: int, count: int) -> tuple[list[float], float]:
    """Wait until the subscriber has `count` events; return their latencies and the last's time."""
    latencies: list[float] = []
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            report = json.load(answer)
        latencies += report["latencies"]
        if len(latencies) >= count:
            return latencies, report["last_at"]
        time.sleep(0.02)


def _wait_for(url: str) -> None:
    for _ in range(500):
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
        else:
            return
    raise SystemExit(f"{url} does not answer")
