"""The image's entry command as a process: it serves the selected functions, and drains."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from local.servers.ports import free_port
from local.supervisor.component import tethered
from local.supervisor.plan import _FUNCTION_SERVER
from tests.e2e.client import eventually

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
ADDRESSES = {
    "REDIS_URL": "redis://127.0.0.1:9",
    "DATABASE_URL": "postgresql://u@127.0.0.1:9/d",
    "NATS_URL": "nats://127.0.0.1:9",
    "S3_ENDPOINT_URL": "http://127.0.0.1:9",
}
"""Stores that are away."""


@contextmanager
def serving(path: Path, probe: str, **given: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run knative/entrypoint.sh with the environment of a func.yaml until live; yield its port."""
    manifest = yaml.safe_load(path.read_text())
    port = free_port()
    environment = {each["name"]: each["value"] for each in manifest["run"]["envs"]}
    environment |= {key: ADDRESSES[key] for key in environment if key in ADDRESSES}
    environment |= {"PORT": str(port), "HOST": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        tethered([str(ROOT / "knative/entrypoint.sh")]), cwd=ROOT, env=environment | given
    )

    def alive() -> bool:
        assert process.poll() is None, f"{path} ended"
        try:
            url = f"http://127.0.0.1:{port}{manifest['deploy']['healthEndpoints'][probe]}"
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert eventually(alive, bool, 60)
        yield process, port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The function normalize."""
    normalize = ROOT / "functions" / "normalize" / "func.yaml"
    with serving(normalize, "readiness", K_SINK="http://127.0.0.1:9/") as found:
        yield found


def bound_services() -> list[Path]:
    """The func.yaml of each Knative Service that a SinkBinding binds, and of all in one."""
    subjects = [
        each["spec"]["subject"]
        for each in yaml.safe_load_all((ROOT / "eventing" / "sources.yaml").read_text())
        if each["kind"] == "SinkBinding"
    ]
    names = [each["name"].replace("-", "_") for each in subjects if each["kind"] == "Service"]
    return [*(ROOT / "functions" / name / "func.yaml" for name in names), ROOT / "func.yaml"]


@pytest.mark.parametrize("path", bound_services(), ids=lambda path: path.parent.name)
def test_before_its_binding_a_function_is_live_and_not_ready(path: Path) -> None:
    """A function without K_SINK is live and not ready, with the reason.

    So the Service goes on from the revision before its SinkBinding.
    """
    with serving(path, "liveness") as (_, port):
        answer = httpx.get(f"http://127.0.0.1:{port}/health/readiness", timeout=60)
        assert answer.status_code == 503
        assert "K_SINK is not set: a SinkBinding injects it" in answer.text
        if path.parent.name == "udp_bridge" or path.parent == ROOT:
            sent = httpx.post(f"http://127.0.0.1:{port}/ingest", content=b"A,1,1")
            assert (sent.status_code, sent.headers["retry-after"]) == (503, "1")
            assert "K_SINK is not set" in sent.json()["detail"]


def test_a_request_in_flight_is_answered_after_sigterm(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    """A half-sent request is answered after SIGTERM, then the process ends."""
    process, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\nha")
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/health").is_success, bool)
        process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) != 0

        assert eventually(refused, bool)
        assert process.poll() is None
        connection.sendall(b"lf")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")  # no CloudEvent
    assert process.wait(30) in (0, -signal.SIGTERM)


def test_the_server_is_the_process_that_gets_the_signal(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    """The server replaces the shell, since a container's SIGTERM goes only to process 1."""
    process, _ = served
    command = Path(f"/proc/{process.pid}/cmdline")
    if not command.exists():
        pytest.skip("there is no /proc here")
    assert b"uvicorn" in command.read_bytes()


def test_a_long_head_is_refused(served: tuple[subprocess.Popen[bytes], int]) -> None:
    """The server refuses a request whose head goes on and on."""
    with socket.create_connection(("127.0.0.1", served[1]), 60) as client:
        client.sendall(b"GET /health/liveness HTTP/1.1\r\nHost: x\r\nA: ")
        with contextlib.suppress(OSError):  # it is closed meanwhile
            for _ in range(4 * 1024):
                client.sendall(b"b" * 1024)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1024).startswith(b"HTTP/1.1 400 ")


def test_the_laptop_serves_as_the_image_does() -> None:
    """`kandle up` starts functions with the options of the image, but for those of its place."""
    script = (ROOT / "knative/entrypoint.sh").read_text().split()
    options = [each for each in _FUNCTION_SERVER if not each.isdigit()]
    assert [each for each in options if each not in script] == []
