"""The live feed: 1,000 WebSocket clients of 50 symbols, with and without one that stalls.

Ticks come over UDP and go the whole way (bridge, normalize, live-feed) with every server and all
clients on this machine; a client's wait is from the tick's receipt by the bridge until the client
has its message. Every tick goes to every client, so that `delivered` is the rate times the clients;
when one is missing a minute later, the run ends with an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import numpy as np
import uvloop

from benchmarks._platform import Platform, running
from benchmarks._watchers import Watcher, leave, stall, watch

CLIENTS = int(os.environ.get("CLIENTS", "1000"))
SYMBOLS = int(os.environ.get("SYMBOLS", "50"))
RATES = [int(each) for each in os.environ.get("RATES", "5,10,20").split(",")]
SECONDS = float(os.environ.get("SECONDS", "20"))
ASIDE = int(os.environ.get("ASIDE", "2000"))
"""Ticks a second of symbols that the stalled client alone has asked for: enough of them to fill
what the kernel keeps for it (some megabytes), and then its queue."""
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Load:
    """Sends ticks of all symbols in turn."""

    address: tuple[str, int]
    names: list[str]

    async def send(self, ticks: int, rate: float) -> float:
        """Send so many ticks at so many a second; return the seconds it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(self.address)
            for n in range(ticks):
                await asyncio.sleep(max(0.0, started + n / rate - loop.time()))
                name = self.names[n % len(self.names)]
                sock.send(f"{name},{1000 + n % 97}.{n % 100:02},1,,,{time.time_ns()}".encode())
        return loop.time() - started


async def measure(
    platform: Platform,
    watchers: list[Watcher],
    load: Load,
    rate: int,
    aside: Load | None,
    note: str,
) -> None:
    """Send at a rate, wait until everybody has everything, and print a line."""
    ticks = int(rate * SECONDS)
    for each in watchers:
        each.waits.clear()
    process = platform.processes["live-feed"]
    before = sum(process.cpu_times()[:2])
    sending = [load.send(ticks, rate)]
    if aside is not None:
        sending.append(aside.send(int(ASIDE * SECONDS), ASIDE))
    took, *_ = await asyncio.gather(*sending)
    async with asyncio.timeout(PATIENCE_S):
        for each in watchers:
            while len(each.waits) < ticks:  # noqa: ASYNC110 - an event a message would cost too much
                await asyncio.sleep(0.1)
    waits = np.concatenate([np.asarray(each.waits) for each in watchers])
    p50, p99 = np.percentile(waits, (50, 99))
    cpu = (sum(process.cpu_times()[:2]) - before) / took * 100
    print(
        f"{rate:4} ticks/s{note:<42} {len(waits) / took:9,.0f} delivered/s"
        f"  p50 {p50:4.0f} ms, p99 {p99:4.0f} ms"
        f"  live-feed {cpu:3.0f} % of a core, {_rss(platform):.0f} MiB",
        flush=True,
    )


def _rss(platform: Platform) -> float:
    return float(platform.processes["live-feed"].memory_info().rss) / 2**20


async def _all(platform: Platform) -> None:
    parts = urlsplit(platform.environment["LIVE_URL"])
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    host, port = platform.environment["UDP_ADDR"].removeprefix("udp://").rsplit(":", 1)
    names = [f"LIVE{n:03}-USD" for n in range(SYMBOLS)]
    load = Load((host, int(port)), names)
    request = _request(names)
    await load.send(SYMBOLS, 50)  # the first ticks of a symbol cost more
    await asyncio.sleep(2)
    alone = _rss(platform)
    began = time.perf_counter()
    watchers: list[Watcher] = []
    for first in range(0, CLIENTS, 50):
        some = (watch(address, request) for _ in range(first, min(first + 50, CLIENTS)))
        watchers += await asyncio.gather(*some)
    took = time.perf_counter() - began
    print(
        f"{CLIENTS:,} clients of {SYMBOLS} symbols connected in {took:.1f} s; live-feed"
        f" {alone:.0f} MiB before, {_rss(platform):.0f} MiB with them"
        f" ({(_rss(platform) - alone) * 1024 / CLIENTS:.0f} KiB a client)"
    )
    snapshots = [(each.present_ns - each.asked_ns) / 1e6 for each in watchers]
    p50, p99 = np.percentile(snapshots, (50, 99))
    print(f"subscribe to snapshot, fifty clients at once: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    for rate in RATES:
        await measure(platform, watchers, load, rate, None, "")
    aside = Load(load.address, [f"ASIDE{n}-USD" for n in range(40)])
    note = f" and {ASIDE:,}/s of other symbols"
    await measure(platform, watchers, load, RATES[0], aside, note)
    stalled = await stall(address, _request([*names, *aside.names]))
    await measure(platform, watchers, load, RATES[0], aside, note + ", one stalls")
    await leave([*watchers, stalled])


def _request(names: list[str]) -> bytes:
    channels = [f"ticks:{name}" for name in names]
    return json.dumps({"op": "subscribe", "channels": channels}).encode()


def _let_go(platform: Platform) -> str:
    scrape = httpx.get(platform.environment["LIVE_URL"] + "/metrics").text
    found = [each for each in scrape.splitlines() if each.startswith("kandle_live_disconnected_t")]
    return ", ".join(found) or "nobody"


def run() -> None:
    """Print the figures."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    with running() as platform:
        uvloop.run(_all(platform))
        print(f"let go: {_let_go(platform)}")


if __name__ == "__main__":
    run()
