"""A NATS server and a broker process for tests, on free loopback ports."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from local.servers.ports import free_port
from local.supervisor.component import tethered
from tests.forked import Forked, forked

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]


def eventually(read: Callable[[], T], seconds: float = 60.0) -> T:
    """Wait for the first true value of `read`."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; the last value was {value!r}")
        time.sleep(0.02)


async def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition that nobody signals. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class NatsServer:
    """A nats-server with JetStream; a restart keeps port and data."""

    def __init__(self, directory: Path, configuration: str = "") -> None:
        self.directory = directory
        self.port, self.monitor_port = free_port(), free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "nats.conf").write_text(configuration)

    def start(self) -> None:
        beside = Path(sys.executable).with_name("nats-server")
        binary = str(beside) if beside.exists() else shutil.which("nats-server")
        assert binary, "nats-server is not installed"
        log = self.directory / "nats.log"
        self._process = subprocess.Popen(
            tethered(
                [
                    *(binary, "-c", str(self.directory / "nats.conf")),
                    *("--addr", "127.0.0.1", "--port", str(self.port)),
                    *("--http_port", str(self.monitor_port), "--jetstream"),
                    *("--store_dir", str(self.directory / "jetstream"), "--log", str(log)),
                ]
            )
        )
        health = f"http://127.0.0.1:{self.monitor_port}/healthz?js-enabled-only=true"
        eventually(lambda: status(health) == 200)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None


class BrokerRun:
    """One `python -m local.broker` over a directory of YAML, which can be restarted."""

    def __init__(
        self,
        directory: Path,
        nats_url: str,
        objects: list[dict[str, Any]],
        addresses: dict[str, str],
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # a connection a request: killed brokers restart on the same port
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(verify=False, trust_env=False, limits=limits, timeout=20)
        self._nats_url = nats_url
        self._process: Forked | None = None
        (directory / "eventing").mkdir(parents=True, exist_ok=True)
        self.write(objects)
        self.addresses(addresses)

    def addresses(self, services: dict[str, str]) -> None:
        (self.directory / "addresses.json").write_text(json.dumps(services))

    def write(self, objects: list[dict[str, Any]]) -> None:
        (self.directory / "eventing" / "all.yaml").write_text(yaml.safe_dump_all(objects))

    def start(self, *, ready: bool = True) -> None:
        arguments = [
            *("--port", str(self.port), "--eventing", str(self.directory / "eventing")),
            *("--addresses", str(self.directory / "addresses.json")),
        ]
        environment = {**os.environ, "NATS_URL": self._nats_url}
        with (self.directory / "stderr").open("ab") as stderr:
            self._process = forked("local.broker", arguments, environment, stderr)
        if ready:
            try:
                eventually(self._is_ready)
            except AssertionError:
                self.stop(signal.SIGKILL)
                raise

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.stderr()
        return status(f"{self.url}/readyz") == 200

    def close(self) -> int | None:
        """Stop for good."""
        code = self.stop()
        self._client.close()
        return code

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        if self._process is None:
            return None
        self._process.send_signal(number)
        code = self._process.wait(60)
        self._process = None
        return code

    def wait(self) -> int:
        """Wait for a broker to end by itself; return its exit code."""
        assert self._process is not None
        code = self._process.wait(60)
        self._process = None
        return code

    def stderr(self) -> str:
        return (self.directory / "stderr").read_text()

    def send(
        self,
        broker: str,
        event_id: str,
        body: bytes = b"payload",
        **attributes: str,
    ) -> httpx.Response:
        """POST one event in binary mode."""
        kept = {"specversion": "1.0", "id": event_id, "source": "/tests", "type": "t", **attributes}
        headers = {f"ce-{name}": value for name, value in kept.items()}
        headers.setdefault("content-type", "application/octet-stream")
        return self.post(f"/{broker}", body, headers)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """POST anything."""
        return self._client.post(f"{self.url}{path}", content=body, headers=headers)

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.get(f"{self.url}/stats").json()
        return answer

    def warnings(self, *words: str) -> list[str]:
        """The logged warnings with all of `words`."""
        texts = [each["text"] for each in self.stats()["warnings"]]
        return [text for text in texts if all(word in text for word in words)]

    def warned(self, *words: str) -> str:
        """Wait for the one warning with all of `words`, which is also on stderr."""
        found = eventually(lambda: self.warnings(*words))
        assert len(found) == 1, found
        assert found[0] in self.stderr().splitlines()
        assert found[0].startswith(("LOSS ", "WARNING "))
        return found[0]


def status(url: str) -> int:
    """The status code of a GET; 0 without a response."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (urllib.error.URLError, OSError):
        return 0
