"""The image's entry command, as a process: it serves what the environment names, and drains."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.e2e.client import eventually
from tests.platform import free_port

ROOT = Path(__file__).parents[2]
MANIFEST = yaml.safe_load((ROOT / "functions" / "normalize" / "func.yaml").read_text())


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """knative/entrypoint.sh with the environment of normalize's func.yaml, and its port."""
    port = free_port()
    environment = {each["name"]: each["value"] for each in MANIFEST["run"]["envs"]}
    environment |= {"PORT": str(port), "HOST": "127.0.0.1", "K_SINK": "http://127.0.0.1:9/"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(["knative/entrypoint.sh"], cwd=ROOT, env=environment)

    def alive() -> bool:
        assert process.poll() is None
        try:
            url = f"http://127.0.0.1:{port}{MANIFEST['deploy']['healthEndpoints']['readiness']}"
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert eventually(alive, bool, 60)
        yield process, port
    finally:
        process.kill()
        process.wait()


def test_a_request_in_flight_is_answered_after_sigterm(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    """The pod's end cuts nobody off: the half-sent request is answered, then the process ends."""
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
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")  # it is no CloudEvent
    assert process.wait(30) in (0, -signal.SIGTERM)


def test_the_server_is_the_process_that_gets_the_signal(
    served: tuple[subprocess.Popen[bytes], int],
) -> None:
    """The shell has become the server: a container's SIGTERM goes to process 1 alone."""
    process, _ = served
    command = Path(f"/proc/{process.pid}/cmdline")
    if not command.exists():
        pytest.skip("there is no /proc here")
    assert b"uvicorn" in command.read_bytes()
