"""Many instruments through the whole chain: lag while sending, CPU, memory, disk and events.

From the environment: WIDTHS (instruments, by commas), RATE (ticks a second), SECONDS, SPREAD
(`even`, `zipf` or both by a comma), REPLICAS (of candle-aggregate), SPARSE (instruments that trade
once a second each; 0: leave that out). Every run has a platform of its own. The lag is that of
probes: ticks of instruments of their own, sent at fixed times among the others, until the API
answers with their row and with their candle.
"""

from __future__ import annotations

import socket
import statistics
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from benchmarks import _market
from benchmarks._measure import cpu_s, listed, number, p50_p99
from benchmarks._platform import Platform, running
from benchmarks._sender import Sender
from benchmarks.chain import carried

WIDTHS = [int(each) for each in listed("WIDTHS", "20,1000,5000,10000")]
RATE = number("RATE", 20_000)
SECONDS = number("SECONDS", 60)
SPREADS = listed("SPREAD", "even,zipf")
REPLICAS = number("REPLICAS", 1)
SPARSE = number("SPARSE", 5_000)

LINES_A_DATAGRAM = 20
PROBED = 4
PROBES_A_SECOND = 4
PATIENCE_S = 180.0
CHECKED = 20


class Market:
    """Ticks of `width` instruments at `rate` for SECONDS, with times and trade ids, as lines."""

    def __init__(self, width: int, rate: float, spread: str) -> None:
        source = np.random.default_rng(width)
        count = int(rate * SECONDS)
        if spread == "zipf":
            weight = 1 / np.arange(1, width + 1)
            symbols = source.choice(width, count, p=weight / weight.sum())
        else:
            symbols = np.arange(count) % width
        self.names = [f"SYM{n:05d}-USD" for n in range(width)]
        self.sent = np.bincount(symbols, minlength=width)
        start_ms = time.time_ns() // 1_000_000 + int(count * 2.5e-3)  # writing the lines takes it
        times_ms = start_ms + (np.arange(count) * 1000 / rate).astype(np.int64)
        self.ticks = count
        lines = _market.lines(self.names, symbols, times_ms, source)
        self.datagrams = _market.datagrams(lines, LINES_A_DATAGRAM)


class Probes:
    """Sends a probe at fixed times, and looks through the API which of them are there.

    Times are seconds since the start; `rows` and `candles`: the lag of each probe in its order.
    """

    def __init__(self, platform: Platform) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(platform.udp)
        self._platform = platform
        self._sent: list[list[float]] = [[] for _ in range(PROBED)]
        self.rows: list[list[float]] = [[] for _ in range(PROBED)]
        self.candles: list[list[float]] = [[] for _ in range(PROBED)]

    def run(self, load: Future[float]) -> None:
        """Until the load is sent and every probe is there, or PATIENCE_S after that."""
        started, sent, deadline = time.perf_counter(), 0, 0.0
        while True:
            due = int((time.perf_counter() - started) * PROBES_A_SECOND)
            while sent < due and not load.done():
                self._send(sent)
                sent += 1
            self._look()
            if load.done():
                deadline = deadline or time.perf_counter() + PATIENCE_S
                if not self.missing or time.perf_counter() > deadline:
                    break
            time.sleep(0.02)
        self._socket.close()

    @property
    def missing(self) -> int:
        """Number of probes without a row or without a candle."""
        return sum(
            2 * len(sent) - len(rows) - len(candles)
            for sent, rows, candles in zip(self._sent, self.rows, self.candles, strict=True)
        )

    def _send(self, number: int) -> None:
        of = number % PROBED
        self._sent[of].append(time.perf_counter())
        self._socket.send(f"PROBE{of}-USD,{number + 1},1,,,{number}".encode())

    def _look(self) -> None:
        for of, sent in enumerate(self._sent):
            for found, seen in ((self.rows[of], self._rows), (self.candles[of], self._trades)):
                if len(found) < len(sent):
                    count = min(seen(of), len(sent))
                    now = time.perf_counter()
                    found += [now - at for at in sent[len(found) : count]]

    def _trades(self, of: int) -> int:
        return self._platform.trades(f"PROBE{of}-USD")

    def _rows(self, of: int) -> int:
        """Count the rows: those of one instrument are stored in the order of its probes."""
        answer = self._platform.api.get(f"/api/ticks/PROBE{of}-USD?limit=1")
        ticks = answer.json()["ticks"] if answer.status_code == 200 else []
        return int(ticks[0]["id"]) // PROBED + 1 if ticks else 0

    def print(self) -> None:
        """Print the lags."""
        for what, lags in (("rows", self.rows), ("candles", self.candles)):
            ordered = [lag for turn in zip(*lags, strict=False) for lag in turn]
            if len(ordered) < 3:
                print(f"    lag of {what}: no probe came back")
                continue
            third = len(ordered) // 3
            first, last = (statistics.median(some) for some in (ordered[:third], ordered[-third:]))
            p50, p99 = p50_p99(ordered)
            print(
                f"    lag of {what:<7} median {p50:5.2f} s, p99 {p99:5.2f};"
                f" in the first third {first:.2f}, in the last {last:.2f}"
            )
        if self.missing:
            print(f"    {self.missing} answers for probes are missing")


def disk(platform: Platform) -> int:
    """Return the bytes of the database."""
    return platform.sql_number("SELECT pg_database_size(current_database())")


def lists(platform: Platform) -> None:
    """Print what an answer about all instruments costs: the dearest of three, a second apart."""
    process = platform.processes["history-query"]
    for path in ("/api/latest", "/api/symbols", "/api/overview"):
        walls, cpus = [], []
        for _ in range(3):
            begun, cpu = time.perf_counter(), cpu_s(process)
            count = len(platform.get(path))
            walls.append(time.perf_counter() - begun)
            cpus.append(cpu_s(process) - cpu)
            time.sleep(1.1)
        print(
            f"    {path}: {count:,} instruments in {max(walls) * 1e3:.0f} ms,"
            f" {max(cpus) * 1e3:.0f} ms of CPU",
            flush=True,
        )


def lost(platform: Platform, market: Market) -> int:
    """Return how many trades the candles of some instruments lack; negative: they are too many."""
    places = np.linspace(0, len(market.names) - 1, CHECKED, dtype=int).tolist()
    missing = 0
    for place in dict.fromkeys(places):
        if market.sent[place]:
            missing += int(market.sent[place]) - platform.trades(market.names[place])
    return missing


def measure(width: int, rate: float, spread: str) -> None:
    """Run one market; print what it cost."""
    with running("--replicas", f"candle-aggregate={REPLICAS}") as platform:
        market = Market(width, rate, spread)
        print(
            f"{width:,} instruments, {spread}, {rate:,.0f} ticks/s for {SECONDS:.0f} s,"
            f" {REPLICAS} of candle-aggregate",
            flush=True,
        )
        before, cpu, bytes_before = platform.stats(), platform.cpu(), disk(platform)
        load = Sender(platform.udp, market.datagrams, LINES_A_DATAGRAM)
        probes = Probes(platform)
        started = time.perf_counter()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(load.send, rate)
            probes.run(sending)
        sent_s, all_s = sending.result(), time.perf_counter() - started
        now, after = platform.stats(), platform.cpu()
        used = {name: after[name] - cpu[name] for name in cpu}
        print(f"    sent in {sent_s:.1f} s; the last probe was there {all_s - sent_s:.1f} s later")
        probes.print()
        print(f"    trades lacking in candles of {CHECKED} instruments: {lost(platform, market)}")
        total = sum(used.values())
        print(
            f"    CPU {total / market.ticks * 1e6:.1f} us a tick, {total / all_s:.2f} cores: "
            + ", ".join(
                f"{name} {seconds / market.ticks * 1e6:.1f}"
                for name, seconds in sorted(used.items(), key=lambda item: -item[1])[:12]
            )
        )
        print(
            f"    Redis {platform.redis_bytes() / 2**20:.1f} MiB;"
            f" database {(disk(platform) - bytes_before) / market.ticks:.0f} bytes a tick"
        )
        carried(before, now, market.ticks)
        lists(platform)


def run() -> None:
    """Print the figures."""
    for spread in SPREADS:
        for width in WIDTHS:
            measure(width, RATE, spread)
    if SPARSE:
        measure(SPARSE, SPARSE, "even")
