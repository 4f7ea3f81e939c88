"""Runs a wheel in empty environments, as `make release` does: `python -m tests.release WHEEL`."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from pathlib import Path

from local.servers.ports import free_port
from tests.release.environments import checked, empty_environment, install

CLIENT_MB = 20
RUN_MB = 700


def main() -> None:
    """Install the client and `kandle[local]`, run a demo, and print sizes and seconds."""
    wheel = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        client = _installed(place / "client", str(wheel), CLIENT_MB)
        checked(client / "python", "-c", "import kandle.client")
        print(checked(client / "kandle", "--version").strip())
        local = _installed(place / "local", f"kandle[local] @ {wheel.as_uri()}", RUN_MB)
        empty = place / "empty"
        empty.mkdir()
        ports = ("--http-port", str(free_port()), "--udp-port", str(free_port(socket.SOCK_DGRAM)))
        began = time.monotonic()
        shown = checked(local / "kandle", "demo", "--seconds", "20", *ports, cwd=empty)
        assert "BTC-USD" in shown, shown
        assert "dashboard was not built" not in shown, shown
        print(shown.splitlines()[-1])
        print(f"kandle demo --seconds 20 took {time.monotonic() - began:.0f} s")


def _installed(directory: Path, requirement: str, most_mb: int) -> Path:
    programs = empty_environment(directory)
    began = time.monotonic()
    install(programs, requirement)
    took_s = time.monotonic() - began
    size = sum(path.lstat().st_blocks * 512 for path in directory.rglob("*")) / 1e6
    print(f"{directory.name}: {size:.0f} MB, installed in {took_s:.1f} s")
    assert size < most_mb, f"more than {most_mb} MB"
    return programs


if __name__ == "__main__":
    main()
