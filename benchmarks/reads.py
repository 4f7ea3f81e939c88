"""What a read of ticks and of information bars costs, in a quiet market and in busy ones.

SHAPES ("demo,100,10000" unless the environment says other ones): `demo` is one symbol of 100
ticks/s beside 20 of 5, a number a market of 20,000 ticks/s of so many instruments. MINUTES (60 of
the first, 15 of the others) end now. COMMITS (5) transactions a second store them as persist does;
after each minute what it stored is copied to the lake and folded as far as it is due, so that the
last minute is in Postgres alone. The API is then asked over HTTP, a commit stored before each
request; PROFILE=1 prints where the time of these reads goes, made in this process.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import httpx

from benchmarks._platform import Platform, running
from benchmarks.storage import Event, market
from functions.history_query.queries.bar_checkpoints import Checkpoints
from functions.history_query.queries.bar_days import BarDays
from functions.history_query.queries.bar_request import read_bars
from functions.history_query.queries.bars import BarPages
from functions.history_query.queries.tick_slices import TickSlices
from functions.persist.segments import segments
from functions.persist.tick_writer import TickWriter, copy_segments
from shared.lake.cold import Cold
from shared.lake.compaction import compact, due_days
from shared.lake.snapshot import copy_ticks
from shared.stores.commits import next_commit
from shared.stores.limits import MAINTENANCE, QUERY
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access

SHAPES = os.environ.get("SHAPES", "demo,100,10000").split(",")
COMMITS = int(os.environ.get("COMMITS", "5"))
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
    dsn, access = platform.environment["DATABASE_URL"], S3Access.from_mapping(platform.environment)
    minutes = int(os.environ.get("MINUTES", "60" if shape == "demo" else "15"))
    postgres = Postgres(dsn, size=2, limits=MAINTENANCE)
    writer = TickWriter(postgres)
    commits = _commits(shape, minutes)
    began = time.perf_counter()
    for minute in range(minutes):
        if minute:
            _keep(postgres, access)
        with postgres.connection() as connection:  # one transaction in place of many
            for commit in islice(commits, 60 * COMMITS - 1):
                copy_segments(connection, next_commit(connection), list(segments(commit)))
        writer(next(commits))
        print(
            f"  {minute + 1} of {minutes} minutes stored in {time.perf_counter() - began:.0f} s",
            end="\r",
            flush=True,
        )
    postgres.execute("ANALYZE tick_segments")
    print(f"{shape}: {minutes} minutes, {COMMITS} commits/s,"
          f" stored in {time.perf_counter() - began:.0f} s")  # fmt: skip
    api = platform.environment["API_URL"]
    ticks, bars = (
        f"{api}/api/ticks/{SYMBOL}?limit=60",
        f"{api}/api/bars/{SYMBOL}?type=tick:100&limit=500",
    )
    store = lambda: writer(next(commits))  # noqa: E731
    print(f"  {'ms':<44}{'first':>9}{'p50':>9}{'max':>9}")
    with httpx.Client(trust_env=False, timeout=120) as client:
        _show("newest 60 ticks", lambda: len(_get(client, ticks)["ticks"]), store)
        _show("newest 500 bars of 100 ticks", lambda: len(_get(client, bars)["bars"]), store)
        older = f"{bars}&cursor={_get(client, bars)['next'] or ''}"
        _show("the 500 before these", lambda: len(_get(client, older)["bars"]), store)
    _together(bars, ticks, store)
    slices = TickSlices(Postgres(dsn, size=4, limits=QUERY), Cold(access))
    hour = lambda: _hour(slices)  # noqa: E731
    _show("the last hour's ticks, in this process", hour, store, 5)
    if os.environ.get("PROFILE"):
        pages = _pages(slices, dsn)
        _profiled("the last hour's ticks", hour)
        _profiled("newest bars", lambda: pages.page(SYMBOL, read_bars({"type": "tick:100"})))
    process = platform.processes["history-query"]
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(f"  history-query: at most {peak / 1024:.0f} MiB", flush=True)
    postgres.close()


def _commits(shape: str, minutes: int) -> Iterator[list[Event]]:
    """Yield the events of each commit: the minutes that end now, and what comes then."""
    width, rate, share = (21, 200, 0.5) if shape == "demo" else (int(shape), 20_000, 0.0)
    begin_us = time.time_ns() // 1000 - minutes * _MINUTE_US
    size = rate // _EVENTS_A_SECOND, 1_000_000 // _EVENTS_A_SECOND
    seconds = minutes * 60 + 3_600
    events = market(width, begin_us, seconds * _EVENTS_A_SECOND, *size, share=share)
    while some := list(islice(events, _EVENTS_A_SECOND // COMMITS)):
        yield some


def _keep(postgres: Postgres, access: S3Access) -> None:
    """Do what persist does each minute."""
    while copy_ticks(postgres, access):
        pass
    for day in due_days(postgres, each_s=0):
        while compact(postgres, access, day, time.time_ns() // 1000):
            pass


def _get(client: httpx.Client, url: str) -> dict[str, list[object]]:
    answer = client.get(url)
    answer.raise_for_status()
    found: dict[str, list[object]] = answer.json()
    return found


def _pages(slices: TickSlices, dsn: str) -> BarPages:
    postgres = Postgres(dsn, size=4, limits=QUERY)
    return BarPages(BarDays(slices, Checkpoints(postgres)), postgres, 2_000_000)


def _hour(slices: TickSlices) -> int:
    now_us = time.time_ns() // 1000
    read = slices.slices(SYMBOL, now_us - _HOUR_US, now_us + _HOUR_US, _HOUR_US, newest=False)
    return sum(len(each.trades) for each in read)


def _show(
    what: str, read: Callable[[], int], store: Callable[[], object], repeats: int = REPEATS
) -> None:
    """Print what reads take, each behind a commit."""
    taken, count = [], 0
    for _ in range(repeats):
        store()
        began = time.perf_counter()
        count = read()
        taken.append((time.perf_counter() - began) * 1e3)
    p50 = statistics.median(taken[1:])
    print(
        f"  {f'{what} ({count})':<44}{taken[0]:>9.0f}{p50:>9.0f}{max(taken[1:]):>9.0f}", flush=True
    )


def _together(bars: str, ticks: str, store: Callable[[], object]) -> None:
    """Let two pages read bars and one read ticks for some seconds; print how they fared."""
    taken: dict[str, list[float]] = {"bars of two pages": [], "ticks beside them": []}
    refused = 0
    until = time.perf_counter() + 10

    def page(what: str, url: str) -> None:
        nonlocal refused
        with httpx.Client(trust_env=False, timeout=120) as client:
            while time.perf_counter() < until:
                began = time.perf_counter()
                refused += client.get(url).status_code != 200
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
        print(f"  {f'{what} ({len(times)})':<44}{times[0]:>9.0f}{statistics.median(times):>9.0f}"
              f"{max(times):>9.0f}")  # fmt: skip
    print(f"  refused: {refused}", flush=True)


def _profiled(what: str, read: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(read)
    print(f"  where the time goes: {what}")
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)
