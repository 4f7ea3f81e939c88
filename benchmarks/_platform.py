"""`kandle up` for benchmarks that need the whole of it."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

KANDLE = (sys.executable, "-m", "local.cli.main")


@dataclass(frozen=True)
class Platform:
    """A running instance: its addresses, its processes, its broker."""

    environment: dict[str, str]
    processes: dict[str, psutil.Process]
    broker: str

    def get(self, path: str) -> Any:
        """Ask the history API."""
        with urllib.request.urlopen(self.environment["API_URL"] + path) as answer:
            return json.load(answer)

    def stored(self) -> int:
        """Count the ticks in Postgres."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT sum(tick_count) FROM tick_segments").fetchone()
        return int(row[0] or 0) if row else 0

    def traded(self) -> int:
        """Count the trades in all one-day candles."""
        symbols = [urllib.parse.quote(each["symbol"]) for each in self.get("/api/latest")]
        pages = (self.get(f"/api/candles/{symbol}?timeframe=1d") for symbol in symbols)
        return sum(candle["n"] for page in pages for candle in page["candles"])

    def stats(self) -> dict[str, Any]:
        """Return the broker's counts."""
        with urllib.request.urlopen(f"{self.broker}/stats") as answer:
            counts: dict[str, Any] = json.load(answer)
        return counts

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds so far of each process with its children, which a server has."""
        return {name: _cpu(process) for name, process in self.processes.items()}


def _cpu(process: psutil.Process) -> float:
    seconds = float(sum(process.cpu_times()[:4]))  # its own, and of children that ended
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            seconds += _cpu(child)
    return seconds


def free_port(kind: socket.SocketKind) -> int:
    """Return a loopback port that nothing uses right now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(*arguments: str) -> Iterator[Platform]:
    """Start an instance of its own on free ports, and stop it."""
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "data", Path(name) / "out"
        command = [*KANDLE, "up", "--data-dir", str(data), *arguments]
        command += ["--http-port", str(free_port(socket.SOCK_STREAM))]
        command += ["--udp-port", str(free_port(socket.SOCK_DGRAM))]
        with out.open("w") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        try:
            while "\nready" not in out.read_text():
                if process.poll() is not None:
                    raise SystemExit(out.read_text())
                time.sleep(0.2)
            said = subprocess.run(
                [*KANDLE, "env", "--data-dir", str(data)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            environment = {}
            for line in said.splitlines():
                key, value = shlex.split(line.removeprefix("export "))[0].split("=", 1)
                environment[key] = value
            instance = json.loads((data / "run" / "instance.json").read_text())
            processes = {
                c["name"]: psutil.Process(c["pid"]) for c in instance["components"] if c["pid"]
            }
            parts = urllib.parse.urlsplit(environment["K_SINK"])
            yield Platform(environment, processes, f"{parts.scheme}://{parts.netloc}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
