"""The whole chain, UDP to Postgres and to closed candles, every server on this machine.

Twenty lines a datagram at RATE ticks a second (environment). Timed from the first datagram until
the last tick is a row, and until the candles that the API shows hold every tick.
"""

from __future__ import annotations

import json
import os
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
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from benchmarks.stages import market_lines

TICKS = 1_000_000
LINES_A_DATAGRAM = 20
RATE = float(os.environ.get("RATE", "200000"))
KANDLE = (sys.executable, "-m", "local.cli.main")


@contextmanager
def running(directory: Path) -> Iterator[dict[str, str]]:
    """Start `kandle up`; yield its addresses."""
    with (directory / "out").open("w") as out:
        process = subprocess.Popen(
            [*KANDLE, "up", "--data-dir", str(directory / "data")],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        while "\nready" not in (directory / "out").read_text():
            if process.poll() is not None:
                raise SystemExit((directory / "out").read_text())
            time.sleep(0.2)
        lines = subprocess.run(
            [*KANDLE, "env", "--data-dir", str(directory / "data")],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        yield dict(shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in lines)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def send(address: str, datagrams: list[bytes], rate: float) -> float:
    """Send at so many lines a second; return the seconds it took."""
    host, port = address.removeprefix("udp://").rsplit(":", 1)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((host, int(port)))
    started = time.perf_counter()
    for n, datagram in enumerate(datagrams):
        sock.send(datagram)
        if n % 20 == 19:
            ahead = (n + 1) * LINES_A_DATAGRAM / rate - (time.perf_counter() - started)
            if ahead > 0.001:
                time.sleep(ahead)
    sock.close()
    return time.perf_counter() - started


def traded(api: str) -> int:
    """Count the trades in all one-day candles."""
    with urllib.request.urlopen(f"{api}/api/latest") as answer:
        symbols = [each["symbol"] for each in json.load(answer)]
    total = 0
    for symbol in symbols:
        path = f"/api/candles/{urllib.parse.quote(symbol)}?timeframe=1d"
        with urllib.request.urlopen(api + path) as answer:
            total += sum(candle["n"] for candle in json.load(answer)["candles"])
    return total


def run() -> None:
    """Print the figures."""
    lines = market_lines(TICKS)
    datagrams = [
        "\n".join(lines[i : i + LINES_A_DATAGRAM]).encode()
        for i in range(0, len(lines), LINES_A_DATAGRAM)
    ]
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as environment:
        status = json.loads((Path(name) / "data" / "run" / "instance.json").read_text())
        processes = {c["name"]: psutil.Process(c["pid"]) for c in status["components"] if c["pid"]}
        before = {n: sum(p.cpu_times()[:2]) for n, p in processes.items()}
        started = time.perf_counter()
        sending = send(environment["UDP_ADDR"], datagrams, RATE)
        stored = seen = 0
        stored_s = candles_s = 0.0
        with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
            while time.perf_counter() - started < 180 and not (stored_s and candles_s):
                row = connection.execute("SELECT sum(tick_count) FROM tick_segments").fetchone()
                stored = int(row[0] or 0) if row else 0
                seen = traded(environment["API_URL"])
                now = time.perf_counter() - started
                if stored >= TICKS and not stored_s:
                    stored_s = now
                if seen >= TICKS and not candles_s:
                    candles_s = now
                time.sleep(0.1)
        print(f"sent {TICKS:,} ticks in {sending:.1f} s: {TICKS / sending / 1e3:.0f} k ticks/s")
        if stored_s:
            print(f"all stored after {stored_s:.1f} s: {TICKS / stored_s / 1e3:.0f} k ticks/s")
        else:
            print(f"stored {stored:,} of {TICKS:,}: {TICKS - stored:,} lost")
        if candles_s:
            print(
                f"all in candles after {candles_s:.1f} s: {TICKS / candles_s / 1e3:.0f} k ticks/s"
            )
        else:
            print(f"in candles {seen:,} of {TICKS:,}")
        for n, p in processes.items():
            cpu = sum(p.cpu_times()[:2]) - before[n]
            print(f"  {n:<18} cpu {cpu:6.1f} s  rss {p.memory_info().rss / 2**20:6.0f} MiB")


if __name__ == "__main__":
    run()
