"""`kandle up` for benchmarks that need the whole of it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import psutil
import psycopg
import redis

from benchmarks._measure import cpu_s
from local.instance import Instance
from local.servers.ports import free_port
from shared.stores.redis import connect

KANDLE = (sys.executable, "-m", "local.cli.main")


@dataclass(frozen=True)
class Platform:
    """A running instance: its addresses, its processes, its broker, and its API."""

    environment: dict[str, str]
    processes: dict[str, psutil.Process]
    broker: str
    api: httpx.Client

    def get(self, path: str) -> Any:
        """Ask the history API."""
        return self.api.get(path).raise_for_status().json()

    @property
    def udp(self) -> tuple[str, int]:
        """Host and port of the UDP listener."""
        host, port = self.environment["UDP_ADDR"].removeprefix("udp://").rsplit(":", 1)
        return host, int(port)

    def stored(self) -> int:
        """Count the ticks in Postgres."""
        return self.sql_number("SELECT sum(tick_count) FROM tick_segments")

    def sql_number(self, query: str) -> int:
        """Return the one number that a query of Postgres gives; 0 for NULL."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            (number,) = connection.execute(query.encode()).fetchone() or (0,)
            return int(number or 0)

    def redis(self) -> redis.Redis:
        """Return a client of Redis."""
        return connect(self.environment["REDIS_URL"])

    def redis_bytes(self) -> int:
        """Return the bytes that Redis holds."""
        return int(self.redis().info("memory")["used_memory"])

    def traded(self) -> int:
        """Count the trades in all one-day candles."""
        return sum(self.trades(each["symbol"]) for each in self.get("/api/latest"))

    def trades(self, symbol: str) -> int:
        """Count the trades in an instrument's one-day candles; 0 if it is not known."""
        answer = self.api.get(f"/api/candles/{quote(symbol)}?timeframe=1d")
        found = answer.json()["candles"] if answer.status_code == 200 else []
        return sum(candle["n"] for candle in found)

    def stats(self) -> dict[str, Any]:
        """Return the broker's counts."""
        counts: dict[str, Any] = self.api.get(f"{self.broker}/stats").json()
        return counts

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds so far of each process."""
        return {name: cpu_s(process) for name, process in self.processes.items()}

    def rss_mib(self, name: str) -> float:
        """Return the memory of a process."""
        return float(self.processes[name].memory_info().rss) / 2**20


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
            instance = Instance.load(data)
            processes = {c.name: psutil.Process(c.pid) for c in instance.components if c.pid}
            broker = urlsplit(instance.env["K_SINK"])._replace(path="").geturl()
            base = instance.env.get("API_URL", "")
            with httpx.Client(base_url=base, trust_env=False, timeout=120) as api:
                yield Platform(instance.env, processes, broker, api)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
