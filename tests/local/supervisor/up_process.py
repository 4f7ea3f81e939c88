"""Runs `kandle up` as users do, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import psutil

from local.instance import Instance, load_status
from local.supervisor.component import tethered
from tests.local.broker.processes import eventually
from tests.platform import KANDLE
from tests.platform import environment as platform_environment

_EVENTING = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: channel, namespace: test}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream: {config: {retention: Interest, maxBytes: 104857600}}
      consumerConfigTemplate: {consumerType: Push, deliverPolicy: New, maxAckPending: 8}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: events
  namespace: test
  annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}
spec:
  config: {apiVersion: v1, kind: ConfigMap, name: channel}
  delivery: {retry: 3, backoffPolicy: linear, backoffDelay: PT1S, timeout: PT10S}
"""


def tiny_topology(directory: Path) -> Path:
    """Write a topology of one Broker without a Trigger."""
    directory.mkdir(exist_ok=True)
    (directory / "broker.yaml").write_text(_EVENTING)
    return directory


class Up:
    """A `kandle up`; it is stopped at the end of the context, and leftovers are killed."""

    def __init__(
        self, data_dir: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self._output = data_dir.with_name(data_dir.name + ".out")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                tethered(
                    [*KANDLE, "up", "--data-dir", str(data_dir), *arguments],
                    death_signal=signal.SIGTERM,
                ),
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**platform_environment(), **(environment or {})},
            )
        self._seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.children()
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.process.kill()
            self.process.wait()
        for each in self.living():
            each.kill()

    @property
    def output(self) -> str:
        """Its output so far."""
        return self._output.read_text()

    def ready(self) -> Self:
        """Wait for its ready line."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.output
            return any(line.startswith("ready") for line in self.output.splitlines())

        eventually(is_ready, 60)
        self.children()
        return self

    def instance(self) -> Instance:
        """Its instance file."""
        return Instance.load(self.data_dir)

    def status(self) -> dict[str, Any]:
        """Its live status."""
        return load_status(self.data_dir)

    def restarts(self) -> dict[str, int]:
        """The number of restarts of each component."""
        components = self.status().get("components", [])
        return {each["name"]: each["restarts"] for each in components if each["restarts"]}

    def children(self) -> list[psutil.Process]:
        """List its processes; they are remembered for `living`."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self._seen.update({each.pid: each for each in found})
        return found

    def living(self) -> list[psutil.Process]:
        """List its processes that still live, without itself."""
        return [each for each in self._seen.values() if _lives(each)]

    def child(self, name: str) -> int:
        """The process id of a component."""
        return next(each.pid or 0 for each in self.instance().components if each.name == name)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Stop it; return the seconds it took."""
        began = time.monotonic()
        self.children()
        self.process.send_signal(how)
        self.process.wait(timeout=20)
        return time.monotonic() - began

    def left(self) -> list[str]:
        """Processes and files that a stop should have removed."""
        files = [self.data_dir / "lock", *(self.data_dir / "run").glob("*")]
        return [
            *(str(each) for each in self.living()),
            *(str(each) for each in files if each.exists()),
        ]


def as_json(text: str) -> Any:
    """Read a command's output of `--json`."""
    return json.loads(text)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # it ended between the two
        return False
