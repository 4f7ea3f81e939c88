"""A process beside functions-framework ends with one line where it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from local.servers.ports import free_port

pytestmark = pytest.mark.processes


@pytest.mark.parametrize(
    ("kind", "setting", "text"),
    [
        (socket.SOCK_DGRAM, "UDP_PORT", "cannot listen on udp 127.0.0.1:{port}: "),
        (socket.SOCK_STREAM, "METRICS_PORT", "cannot serve metrics on port {port}: "),
    ],
)
def test_a_port_in_use_is_one_line(kind: socket.SocketKind, setting: str, text: str) -> None:
    """A port in use ends the process with exit code 1 and a line that names the port."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = {"UDP_PORT": str(free_port(socket.SOCK_DGRAM)), setting: str(port)}
        ended = subprocess.run(
            [sys.executable, "-m", "functions.udp_bridge.listener"],
            env={**os.environ, "K_SINK": "http://127.0.0.1:9", **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(text.format(port=port))
    assert "in use" in line
