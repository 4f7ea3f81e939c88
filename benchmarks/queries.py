"""The history API over hot and cold: p50, p99 and requests/s, beside psycopg and DuckDB.

TICKS (2,000,000 unless the environment says another number) of one instrument over 32 days are
stored as persist stores them, copied to SeaweedFS and compacted; all days but the last two leave
Postgres once they were read back. Then the usual queries go to a running history-query over HTTP.
Beside each the same by hand: psycopg in Postgres, DuckDB on the very files, which it has on the
local disk, since its S3 extension is not part of its package.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import httpx
import psycopg

from benchmarks._market import events as market
from benchmarks._measure import number, p50_p99, peak_mib, timed, times_ms
from benchmarks._platform import Platform, running
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.candles.folds import KeyedRecords, merged, rolled_up
from shared.candles.partials import partials
from shared.lake.catalog import Catalog
from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.maintenance.candle_retention import drop_candles
from shared.lake.maintenance.compaction import compact
from shared.lake.maintenance.retention import retain
from shared.lake.maintenance.schedule import due_days, old_candle_days
from shared.lake.maintenance.settings import Terms
from shared.lake.maintenance.snapshot import copy_ticks
from shared.lake.tables.definitions import CANDLES
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.stores.limits import MAINTENANCE
from shared.stores.postgres import Postgres
from shared.stores.s3 import S3Access
from shared.wire.candle_columns import columns_of

TICKS = number("TICKS", 2_000_000)
DAYS = 32
SYMBOL = "SYM00000-USD"
REPEATS = 200
CLIENTS = 4
SECONDS = 5.0

_BATCH = 20_000
_DAY_US = 86_400_000_000
_TERMS = Terms(tick_hours=24, candle_days=1)
_CANDLES_AN_EVENT = 2_000


def load(platform: Platform) -> None:
    """Store, copy, compact, verify and drop; print how long each took."""
    environment = platform.environment
    postgres = Postgres(environment["DATABASE_URL"], size=4, limits=MAINTENANCE)
    access = S3Access.from_env(environment)
    ladder = parse_ladder(DEFAULT_LADDER)
    writer, ticks_writer = Writer(postgres), TickWriter(postgres)

    def store() -> None:
        parts = []
        events, span_us = -(-TICKS // _BATCH), DAYS * _DAY_US
        begin_us = time.time_ns() // 1000 - span_us
        for event_id, ticks in market(1, begin_us, events, _BATCH, span_us // events):
            ticks_writer([(event_id, ticks)])
            parts.append(partials(ticks, ladder[0].length_us))
        base = merged(KeyedRecords.of(parts))
        ready = [
            candle
            for each in ladder
            for candle in rolled_up(base, each).columns(each.name, [SYMBOL]).candles()
        ]
        now_us = time.time_ns() // 1000
        lengths = {each.name: each.length_us for each in ladder}
        done = [c for c in ready if c.start_us + lengths[c.timeframe] <= now_us]
        for first in range(0, len(done), _CANDLES_AN_EVENT):
            some = done[first : first + _CANDLES_AN_EVENT]
            whole = columns_of(replace(c, closed=True, revision=1) for c in some)
            writer.candles(whole)

    def copy() -> None:
        while copy_ticks(postgres, access):
            pass
        while copy_candles(postgres, access, time.time_ns() // 1000, settled_s=0):
            pass

    def folded() -> None:
        later_us = time.time_ns() // 1000 + _DAY_US
        while days := due_days(postgres, each_s=0):
            for day in days:
                while compact(postgres, access, day, later_us, settled_s=0):
                    pass

    def leave() -> None:
        postgres.execute("DELETE FROM unaggregated")
        postgres.execute(
            "UPDATE lake_days SET changed_at = changed_at - interval '2 days',"
            " compacted_at = compacted_at - interval '2 days'"
        )
        now_us = time.time_ns() // 1000
        list(retain(postgres, access, _TERMS, now_us))
        while days := old_candle_days(postgres, _TERMS, now_us):
            if not sum(sum(drop_candles(postgres, access, day)) for day in days):
                break

    for name, work in (
        (f"{TICKS:,} ticks and their candles stored", store),
        ("copied to Parquet", copy),
        ("compacted", folded),
        ("read back and dropped from Postgres", leave),
    ):
        print(f"{name:55}{timed(work):8.1f} s", flush=True)
    postgres.execute("ANALYZE")
    postgres.close()


def repeated(work: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the 99th percentile in ms, after a few that are not counted."""
    times, _ = times_ms(work, 5 + REPEATS)
    return p50_p99(times[5:])


def rate(client: httpx.Client, url: str) -> float:
    """Return the requests a second of some threads that ask all the time."""
    until = time.perf_counter() + SECONDS

    def ask(_: int) -> int:
        count = 0
        while time.perf_counter() < until:
            client.get(url).raise_for_status()
            count += 1
        return count

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(ask, range(CLIENTS))) / SECONDS


def download(platform: Platform, folder: Path) -> None:
    """Copy the candles' files that count to the disk."""
    access = S3Access.from_env(platform.environment)
    with psycopg.connect(platform.environment["DATABASE_URL"]) as connection:
        table = Catalog(connection, access).table(CANDLES)
    for task in table.scan().plan_files():
        source = table.io.new_input(task.file.file_path)
        with source.open() as stream:
            (folder / Path(task.file.file_path).name).write_bytes(stream.read())


def run() -> None:
    """Load, ask, and print the table."""
    with running("--functions", "history-query") as platform, tempfile.TemporaryDirectory() as name:
        load(platform)
        download(platform, Path(name))
        measure(platform, Path(name))


def measure(platform: Platform, folder: Path) -> None:
    """Print a row for each query and each way to ask it."""
    today = time.time_ns() // 1000 // _DAY_US * _DAY_US
    day = (today - 10 * _DAY_US, today - 9 * _DAY_US)
    month = (today - 31 * _DAY_US, today - 1 * _DAY_US)
    base, client = f"/api/candles/{SYMBOL}", platform.api
    columns = (
        "epoch_ms(time), open, high, low, close, volume, notional, trades, buy_volume, sell_volume"
    )
    hot = (
        "SELECT start_us, open, high, low, close, volume, notional, trade_count, buy_volume,"
        " sell_volume FROM candles WHERE instrument = %s AND timeframe = '1m'"
        " ORDER BY start_us DESC LIMIT 500"
    )
    duck = duckdb.connect()
    print(f"\n{'':58}{'rows':>6}{'p50 ms':>9}{'p99 ms':>9}{'req/s':>8}")
    with psycopg.connect(platform.environment["DATABASE_URL"], autocommit=True) as connection:

        def http(url: str) -> int:
            page = platform.get(url)
            assert page["next"] is None or "limit=500" in url
            return len(page["candles"])

        def files_of(timeframe: str, span: tuple[int, int]) -> int:
            return len(
                duck.execute(
                    f"SELECT {columns} FROM read_parquet('{folder}/*.parquet')"
                    " WHERE timeframe = ? AND symbol = ? AND time >= make_timestamptz(?)"
                    " AND time < make_timestamptz(?) ORDER BY time",
                    [timeframe, SYMBOL, *span],
                ).fetchall()
            )

        cold_day = f"{base}?timeframe=1m&from={day[0] // 1000}&to={day[1] // 1000}&limit=1440"
        cold_month = f"{base}?timeframe=1h&from={month[0] // 1000}&to={month[1] // 1000}"
        for title, url, peer in (
            ("last 500 1m candles, hot", f"{base}?timeframe=1m&limit=500",
             ("psycopg", lambda: len(connection.execute(hot, (SYMBOL,)).fetchall()))),
            ("one day of 1m candles, cold", cold_day,
             ("DuckDB, files on disk", lambda: files_of("1m", day))),
            ("one month of 1h candles, cold", cold_month,
             ("DuckDB, files on disk", lambda: files_of("1h", month))),
        ):  # fmt: skip
            (first,), rows = times_ms(lambda url=url: http(url), 1)  # type: ignore[misc]
            assert rows == peer[1](), (title, rows, peer[1]())
            p50, p99 = repeated(lambda url=url: http(url))  # type: ignore[misc]
            asked = f"{title}: history-query (first {first:.0f} ms)"
            print(f"{asked:58}{rows:6}{p50:9.1f}{p99:9.1f}{rate(client, url):8.0f}", flush=True)
            p50, p99 = repeated(peer[1])
            print(f"{f'    {peer[0]}':58}{rows:6}{p50:9.1f}{p99:9.1f}{1e3 / p50:8.0f}", flush=True)
    for title, url in (
        ("10,000 raw ticks, cold, once", f"/api/ticks/{SYMBOL}?limit=10000"),
        ("10,000 1s candles of cold ticks, once", f"{base}?timeframe=1s&limit=10000"),
    ):
        taken_s = timed(lambda url=url: platform.get(f"{url}&from={day[0] // 1000}"))  # type: ignore[misc]
        print(f"{title:64}{taken_s * 1e3:9.1f}")
    peak = peak_mib(platform.processes["history-query"].pid)
    print(f"history-query: at most {peak:.0f} MiB")
