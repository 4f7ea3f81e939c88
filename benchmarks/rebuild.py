"""candle-aggregate makes a lost live state anew: time until it is there and right, and memory.

From the environment: WIDTH (instruments), MINUTES of stored history, a base candle of each
instrument in each, RATE (ticks a second by UDP just before the loss) and SECONDS of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
import psycopg

from benchmarks._measure import cpu_s, number, peak_mib, reset_peak, wait
from benchmarks._platform import Platform, running
from benchmarks._sender import Sender
from benchmarks.symbols import CHECKED, LINES_A_DATAGRAM, Market, lists
from shared.market.shards import DEFAULT_SHARDS
from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder
from shared.realtime.keys import Keys

WIDTH = number("WIDTH", 10_000)
MINUTES = number("MINUTES", 1_440)
RATE = number("RATE", 20_000)

MINUTE_US: Final = 60_000_000
FUNCTIONS: Final = "normalize,persist,candle-aggregate,history-query"

_CANDLES: Final = """
    INSERT INTO candles (instrument, timeframe, start_us, open, high, low, close, volume, notional,
        trade_count, buy_volume, sell_volume, first_time_us, last_time_us, closed, partial,
        complete, revision)
    SELECT name, %(timeframe)s, start_us, 100 + n, 101 + n, 99 + n, 100 + n, count,
        count * (100 + n), count, count, 0, first_us, last_us + 1000000,
        true, false, true, last_us + 60000000
    FROM (
        SELECT n, name, start_us, first_us, last_us,
            (last_us - first_us) / 60000000 + 1 AS count
        FROM unnest(%(names)s::text[]) WITH ORDINALITY AS i (name, n)
        CROSS JOIN unnest(%(starts)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[])
            AS c (start_us, first_us, last_us)
    ) AS each
"""
_BEGUN: Final = """
    INSERT INTO first_ticks (instrument, first_time_us, last_time_us)
    SELECT name, %(first)s, %(last)s FROM unnest(%(names)s::text[]) AS name
"""


def write_history(platform: Platform, names: list[str], until_us: int) -> int:
    """Store one trade a minute of each instrument, folded into each timeframe that has ended.

    Returns how many candles of the base timeframe and of the longer ones that makes.
    """
    first_us = until_us - MINUTES * MINUTE_US
    minutes = range(first_us, until_us, MINUTE_US)
    stored = 0
    with psycopg.connect(platform.environment["DATABASE_URL"], autocommit=True) as connection:
        for timeframe in parse_ladder(DEFAULT_LADDER):
            columns = _intervals(timeframe, minutes, until_us)
            stored += len(columns["starts"]) * len(names)
            for first in range(0, len(names), 500):
                some = {"timeframe": timeframe.name, "names": names[first : first + 500]}
                connection.execute(_CANDLES, {**some, **columns})
        times = {"names": names, "first": first_us, "last": until_us - MINUTE_US}
        connection.execute(_BEGUN, times)
        connection.execute("ANALYZE candles")
    return stored


def _intervals(timeframe: Timeframe, minutes: range, until_us: int) -> dict[str, list[int]]:
    starts = sorted({timeframe.start_us(minute) for minute in minutes})
    ended = [start for start in starts if timeframe.next_us(start) <= until_us]
    firsts = [max(start, minutes[0]) for start in ended]
    lasts = [timeframe.next_us(start) - MINUTE_US for start in ended]
    return {"starts": ended, "firsts": firsts, "lasts": lasts}


def lose(platform: Platform, what: str, is_right: Callable[[], bool]) -> None:
    """Flush Redis; print when every shard has a state again, when candles are right, and memory."""
    process = platform.processes["candle-aggregate"]
    before, cpu = platform.rss_mib("candle-aggregate"), cpu_s(process)
    reset_peak(process.pid)
    with platform.redis() as client:
        client.flushall()
        begun = time.perf_counter()
        heads = [Keys(shard).head for shard in range(DEFAULT_SHARDS)]
        made_s = wait(lambda: all(client.hexists(head, "lineage") for head in heads), begun)
    right_s = wait(is_right, begun)
    cpu = cpu_s(process) - cpu
    print(
        f"{what}: state there after {made_s:.1f} s, candles right after {right_s:.1f} s;"
        f" CPU {cpu:.1f} s, memory {before:.0f} MiB, at most {peak_mib(process.pid):.0f}",
        flush=True,
    )


def counted(platform: Platform, names: list[str]) -> int:
    """Return how many trades the one-day candles of some instruments have."""
    return sum(map(platform.trades, names))


def run() -> None:
    """Lose the state with all of it stored, and once more after ticks that are not."""
    with running("--functions", FUNCTIONS) as platform:
        market = Market(WIDTH, RATE, "even")
        now_us = time.time_ns() // 1000
        begun = time.perf_counter()
        candles = write_history(platform, market.names, now_us - now_us % MINUTE_US)
        print(
            f"{WIDTH:,} instruments, {MINUTES:,} minutes: {candles:,} candles stored in"
            f" {time.perf_counter() - begun:.0f} s",
            flush=True,
        )
        places = np.linspace(0, WIDTH - 1, CHECKED, dtype=int)
        names = [market.names[place] for place in places.tolist()]
        known = MINUTES * CHECKED
        lose(platform, "all stored", lambda: counted(platform, names) == known)
        known += int(market.sent[places].sum())
        Sender(platform.udp, market.datagrams, LINES_A_DATAGRAM).send(RATE)
        wait(lambda: counted(platform, names) == known)
        ticks = f"{market.ticks:,} ticks since"
        lose(platform, ticks, lambda: counted(platform, names) == known)
        lists(platform)
