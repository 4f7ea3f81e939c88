"""The live feed: from a tick to a screen, 5,000 symbols, 1,000 clients with one that stalls.

First one client of 50 symbols; then a browser (where there is chromium) where a price is drawn, on
Kandle's page and on a bare one; then a page in a market of 5,000 symbols; then 1,000 WebSocket
clients of 50 symbols.
Ticks come over UDP and go the whole way (bridge, normalize, live-feed) with every server and all
clients on this machine; a client's wait is from the tick's receipt by the bridge until the client
has its message. Every tick goes to every client, so that `delivered` is the rate times the clients;
when one is missing a minute later, the run ends with an error.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import uvloop

from benchmarks._measure import cpu_s, listed, number, p50_p99
from benchmarks._platform import Platform, running
from benchmarks._screen import chromium, kandle_and_bare
from benchmarks._watchers import Watcher, leave, stall, watch

CLIENTS = number("CLIENTS", 1_000)
SYMBOLS = number("SYMBOLS", 50)
RATES = [int(each) for each in listed("RATES", "5,10,20")]
SECONDS = number("SECONDS", 20)
ALONE = number("ALONE", 1_000)
"""Ticks a second of the 50 symbols for one client."""
MARKET = number("MARKET", 5_000)
"""Symbols of the whole market, and its ticks a second."""
ASIDE = number("ASIDE", 2_000)
"""Ticks a second of symbols that the stalled client alone has asked for: enough of them to fill
what the kernel keeps for it (some megabytes), and then its queue."""
PATIENCE_S = 60.0
_FEED = "live-feed"
_STAGE = re.compile(
    r'kandle_tick_to_stage_seconds_(?P<what>sum|count)\{.*stage="(?P<stage>[^"]+)".*\}'
    r" (?P<value>.+)"
)


@dataclass(frozen=True)
class Load:
    """Sends ticks of all symbols in turn."""

    address: tuple[str, int]
    names: list[str]
    sent_ms: dict[str, float] = field(default_factory=dict)
    """When the first symbol's price was sent, by its text."""

    async def send(self, ticks: int, rate: float) -> float:
        """Send so many ticks at so many a second; return the seconds it took."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(self.address)
            for n in range(ticks):
                await asyncio.sleep(max(0.0, started + n / rate - loop.time()))
                name, price = self.names[n % len(self.names)], f"{n + 1}.25"
                if name == self.names[0]:
                    self.sent_ms[price] = time.time() * 1000
                sock.send(f"{name},{price},1,,,{time.time_ns()}".encode())
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
    process = platform.processes[_FEED]
    before, stages = cpu_s(process), _stages(platform)
    sending = [load.send(ticks, rate)]
    if aside is not None:
        sending.append(aside.send(int(ASIDE * SECONDS), ASIDE))
    took, *_ = await asyncio.gather(*sending)
    async with asyncio.timeout(PATIENCE_S):
        for each in watchers:
            while len(each.waits) < ticks:  # noqa: ASYNC110 - an event a message would cost too much
                await asyncio.sleep(0.1)
    waits = [wait for each in watchers for wait in each.waits]
    p50, p99 = p50_p99(waits)
    cpu = (cpu_s(process) - before) / took * 100
    print(
        f"{rate:4} ticks/s{note:<42} {len(waits) / took:9,.0f} delivered/s"
        f"  p50 {p50:4.0f} ms, p99 {p99:4.0f} ms"
        f"  live-feed {cpu:3.0f} % of a core, {platform.rss_mib(_FEED):.0f} MiB;"
        f" from receipt to the end of {_means(stages, _stages(platform))}",
        flush=True,
    )


def _stages(platform: Platform) -> Counter[tuple[str, str]]:
    """Return the seconds from receipt to each stage's end (`sum`), and its events (`count`)."""
    scrape = httpx.get(platform.environment["OBSERVE_URL"] + "/metrics", timeout=30).text
    found: Counter[tuple[str, str]] = Counter()
    for match in _STAGE.finditer(scrape):
        found[match["stage"], match["what"]] += float(match["value"])  # type: ignore[assignment]
    return found


def _means(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> str:
    more = after - before
    means = sorted(
        (more[stage, "sum"] / count * 1000, stage)
        for (stage, what), count in more.items()
        if what == "count"
    )
    return ", ".join(f"{stage} {ms:.0f} ms" for ms, stage in means)


async def _all(platform: Platform) -> None:
    parts = urlsplit(platform.environment["LIVE_URL"])
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    names = [f"LIVE{n:03}-USD" for n in range(SYMBOLS)]
    load = Load(platform.udp, names)
    request = _request(names)
    await load.send(SYMBOLS, 50)  # the first ticks of a symbol cost more
    await asyncio.sleep(2)
    first = await watch(address, request)
    await measure(platform, [first], load, ALONE, None, " of 50 symbols, one client")
    await leave([first])
    await _drawn(platform, load)
    await _market(platform, load)
    await _many(platform, address, load)


async def _drawn(platform: Platform, load: Load) -> None:
    """Print how long a price takes to a page's text, and to a bare page's, which is the limit."""

    async def send() -> Mapping[str, float]:
        load.sent_ms.clear()
        await load.send(int(ALONE * SECONDS), ALONE)
        await asyncio.sleep(1)
        return dict(load.sent_ms)

    async with chromium() as browser:
        if browser is None:
            return
        url, name = platform.environment["LIVE_URL"], load.names[0]
        for what, shown in zip(
            ("Kandle's page", "a bare page, the limit"),
            await kandle_and_bare(browser, url, name, send),
            strict=True,
        ):
            print(f"{ALONE:4} ticks/s of {SYMBOLS} symbols, {what}: {shown}", flush=True)


async def _market(platform: Platform, load: Load) -> None:
    """Print when a page of a whole market is of use, and how old the trades are that it shows."""
    names = [f"M{n:05}-USD" for n in range(MARKET)]
    market = Load(load.address, names)
    async with chromium() as browser:
        if browser is None:
            return
        await market.send(MARKET, MARKET)
        sending = asyncio.create_task(market.send(int(MARKET * SECONDS), MARKET))
        page = await browser.new_page(viewport={"width": 1400, "height": 850})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        began = time.perf_counter()
        await page.goto(f"{platform.environment['LIVE_URL']}/#{names[0]}/1m")
        await page.wait_for_function(_IS_USABLE, arg=MARKET, timeout=60_000)
        usable_s = time.perf_counter() - began
        of_symbols = sum("/api/" in url and names[0] not in url for url in asked)
        ages = []
        while not sending.done():
            await asyncio.sleep(0.2)
            age = await page.evaluate("window.kandle.state().ages.trades")
            ages += [] if age is None else [age]
    await sending
    p50, p99 = p50_p99(ages)
    print(
        f"{MARKET:4} ticks/s of {MARKET:,} symbols, a page: of use after {usable_s:.1f} s by"
        f" {len(asked)} requests, {of_symbols} of them for other symbols than the chart's;"
        f" age of trades p50 {p50:.0f} ms, p99 {p99:.0f} ms",
        flush=True,
    )


_IS_USABLE = """(market) => {
  const { candles, symbols, last } = window.kandle.state();
  const prices = [...document.querySelectorAll(".card .last")].filter((each) => /\\d/.test(each.textContent));
  return candles.length > 0 && symbols >= market && last !== "" && prices.length >= 5;
}"""  # noqa: E501 - a page's code


async def _many(platform: Platform, address: tuple[str, int], load: Load) -> None:
    request, names = _request(load.names), load.names
    alone = platform.rss_mib(_FEED)
    began = time.perf_counter()
    watchers: list[Watcher] = []
    for first in range(0, CLIENTS, 50):
        some = (watch(address, request) for _ in range(first, min(first + 50, CLIENTS)))
        watchers += await asyncio.gather(*some)
    took, together = time.perf_counter() - began, platform.rss_mib(_FEED)
    print(
        f"{CLIENTS:,} clients of {SYMBOLS} symbols connected in {took:.1f} s; live-feed"
        f" {alone:.0f} MiB before, {together:.0f} MiB with them"
        f" ({(together - alone) * 1024 / CLIENTS:.0f} KiB a client)"
    )
    snapshots = [(each.present_ns - each.asked_ns) / 1e6 for each in watchers]
    p50, p99 = p50_p99(snapshots)
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
    with running("--observe") as platform:
        uvloop.run(_all(platform))
        print(f"let go: {_let_go(platform)}")
