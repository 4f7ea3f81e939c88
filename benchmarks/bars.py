"""Information bars of a day's trades: million trades a second and core, by type of bar.

TICKS (5,000,000 unless the environment says another number) trades of one instrument as columns:
a walk of prices with two decimals in which two of three trades repeat the price before, sizes with
eight. Beside each a plain loop in Python over the first 200,000 as integers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import numpy as np

from shared.candles.bar_ends import ends_of
from shared.candles.bar_fold import BarFold
from shared.market.bar_types import BarType
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import INTEGER_ID, Ticks

TICKS = int(os.environ.get("TICKS", "5000000"))
PLAIN = 200_000
TYPES = ("tick:100", "volume:25", "dollar:2000000", "range:2", "range:10")


def market(n: int) -> Ticks:
    source = np.random.default_rng(1)
    steps = source.integers(-5, 6, n) * (source.random(n) < 1 / 3)
    numbers = np.arange(n, dtype=np.int64)
    return Ticks(
        "bench",
        Entries.of(Entry("BTC-USD", 2, 8, n)),
        numbers * 17_000,
        7_500_000 + np.cumsum(steps),
        source.integers(1, 50_000_000, n),
        source.integers(0, 3, n).astype(np.uint8),
        np.full(n, INTEGER_ID, dtype=np.uint8),
        numbers,
        None,
        numbers * 17_000 + 800,
        numbers << 16,
        np.zeros(n, dtype=np.uint8),
    )


def plain(sizes: Iterable[int], amount: int) -> int:
    """Count volume bars with a loop."""
    bars = gathered = 0
    for size in sizes:
        gathered += size
        if gathered >= amount:
            bars += 1
            gathered = 0
    return bars


def run() -> None:
    ticks = market(TICKS)
    print(f"{TICKS:,} trades")
    for name in TYPES:
        type_ = BarType.parse(name)
        began = time.perf_counter()
        ends = len(ends_of(type_).rows(ticks))
        found = time.perf_counter()
        bars = len(BarFold(type_).take(ticks)[0])
        made = time.perf_counter()
        assert bars == ends
        print(
            f"  {name:16} {bars:>9,} bars   ends {TICKS / (found - began) / 1e6:6.1f} M/s"
            f"   whole bars {TICKS / (made - found) / 1e6:6.1f} M/s"
        )
    sizes = ticks.size[:PLAIN].tolist()
    began = time.perf_counter()
    plain(sizes, 25 * 10**8)
    print(f"  a plain loop that only counts {PLAIN / (time.perf_counter() - began) / 1e6:.1f} M/s")
