"""Cost of reading ticks and information bars, in a quiet market and in busy ones.

SHAPES ("demo,100,10000" unless the environment says other ones): `demo` is one symbol of 100
ticks/s beside 20 of 5, a number a market of 20,000 ticks/s of so many instruments. MINUTES (60) end
now. Their commits, COMMITS (5) a second, stand in Postgres, and all but the last minute in the lake
too, copied and folded minute by minute. The API is then asked over HTTP, a commit stored before
each request.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice

import httpx

from benchmarks import _market
from benchmarks._measure import listed, number, peak_mib, times_ms
from benchmarks._platform import Platform, running
from functions.history_query.queries.tick_slices import TickSlices
from functions.persist.segments import segments
from functions.persist.tick_writer import TickWriter, copy_segments
from shared.lake.maintenance.compaction import compact
from shared.lake.maintenance.snapshot import copy_ticks
from shared.lake.reading.cold import Cold
from shared.market.utc_days import day_of
from shared.stores.commits import next_commit
from shared.stores.limits import MAINTENANCE, QUERY
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

SHAPES = listed("SHAPES", "demo,100,10000")
MINUTES = number("MINUTES", 60)
COMMITS = number("COMMITS", 5)
SYMBOL = "SYM00007-USD"
REPEATS = 10

_EVENTS_A_SECOND = 20
_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US


def run() -> None:
    """Print a table for each shape."""
    for shape in SHAPES:
        with running("--functions", "history-query") as platform:
            measure(platform, shape)


def measure(platform: Platform, shape: str) -> None:
    """Load the market, ask, and print."""
    dsn, access = platform.environment["DATABASE_URL"], S3Access.from_env(platform.environment)
    postgres = Postgres(dsn, size=2, limits=MAINTENANCE)
    writer = TickWriter(postgres)
    begin_us = time.time_ns() // 1000 - MINUTES * _MINUTE_US
    commits = _commits(shape, begin_us)
    began = time.perf_counter()
    for minute in range(MINUTES):
        _copy_and_fold(postgres, access, begin_us + minute * _MINUTE_US)
        with postgres.connection() as connection:  # one transaction in place of many
            for some in islice(commits, 60 * COMMITS):
                copy_segments(connection, next_commit(connection), list(segments(some)))
    writer(next(commits))
    postgres.execute("ANALYZE tick_segments")
    print(f"{shape}: {MINUTES} minutes, {COMMITS} commits/s,"
          f" stored in {time.perf_counter() - began:.0f} s")  # fmt: skip
    ticks = f"/api/ticks/{SYMBOL}?limit=60"
    bars = f"/api/bars/{SYMBOL}?type=tick:100&limit=500"
    store = lambda: writer(next(commits))  # noqa: E731
    print(f"  {'ms':<44}{'first':>9}{'p50':>9}{'max':>9}")
    _show("newest 60 ticks", lambda: len(platform.get(ticks)["ticks"]), store)
    _show("newest 500 bars of 100 ticks", lambda: len(platform.get(bars)["bars"]), store)
    older = f"{bars}&cursor={platform.get(bars)['next'] or ''}"
    _show("the 500 before these", lambda: len(platform.get(older)["bars"]), store)
    _together(platform.api, bars, ticks, store)
    slices = TickSlices(Postgres(dsn, size=4, limits=QUERY), Cold(access))
    _show("the last hour's ticks, in this process", lambda: _hour(slices), store, 5)
    peak = peak_mib(platform.processes["history-query"].pid)
    print(f"  history-query: at most {peak:.0f} MiB", flush=True)
    postgres.close()


def _commits(shape: str, begin_us: int) -> Iterator[list[_market.Event]]:
    """Yield the events of each commit: the minutes that end now, and what comes then."""
    # instruments, ticks a second, and the share of SYMBOL beside its part
    width, rate, share = (21, 200, 0.5) if shape == "demo" else (int(shape), 20_000, 0.0)
    size = rate // _EVENTS_A_SECOND, 1_000_000 // _EVENTS_A_SECOND
    seconds = MINUTES * 60 + 3_600
    events = _market.events(width, begin_us, seconds * _EVENTS_A_SECOND, *size, share=share)
    while some := list(islice(events, _EVENTS_A_SECOND // COMMITS)):
        yield some


def _copy_and_fold(postgres: Postgres, access: S3Access, now_us: int) -> None:
    """Copy what is stored to the lake, and fold what is alike."""
    while copy_ticks(postgres, access):
        pass
    for day in {day_of(now_us - _HOUR_US), day_of(now_us)}:
        while compact(postgres, access, day, now_us, settled_s=0):
            pass


def _hour(slices: TickSlices) -> int:
    now_us = time.time_ns() // 1000
    read = slices.slices(SYMBOL, now_us - _HOUR_US, now_us + _HOUR_US, _HOUR_US, newest=False)
    return sum(len(each.trades) for each in read)


def _show(
    what: str, read: Callable[[], int], store: Callable[[], object], repeats: int = REPEATS
) -> None:
    """Print what reads take, each behind a commit."""
    taken, count = times_ms(read, repeats, store)
    _line(f"{what} ({count})", taken)


def _line(what: str, taken: list[float]) -> None:
    first, *others = taken
    p50 = statistics.median(others)
    print(f"  {what:<44}{first:>9.0f}{p50:>9.0f}{max(others):>9.0f}", flush=True)


def _together(api: httpx.Client, bars: str, ticks: str, store: Callable[[], object]) -> None:
    """Let two pages read bars and one read ticks for some seconds; print how they fared."""
    taken: dict[str, list[float]] = {"bars of two pages": [], "ticks beside them": []}
    refused = 0
    until = time.perf_counter() + 10

    def page(what: str, url: str) -> None:
        nonlocal refused
        while time.perf_counter() < until:
            began = time.perf_counter()
            refused += api.get(url).status_code != 200
            taken[what].append((time.perf_counter() - began) * 1e3)

    threads = [
        threading.Thread(target=page, args=each)
        for each in (*[("bars of two pages", bars)] * 2, ("ticks beside them", ticks))
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store()
        time.sleep(0.25)
    for what, times in taken.items():
        _line(f"{what} ({len(times)})", times)
    print(f"  refused: {refused}", flush=True)
