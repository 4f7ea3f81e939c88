"""Information bars of a day's trades: million trades a second and core, by type of bar.

TICKS (5,000,000 unless the environment says another number) trades of one instrument as columns:
a walk of prices with two decimals in which two of three trades repeat the price before, sizes with
eight. Beside each a plain loop in Python over the first 200,000 as integers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks import _market
from benchmarks._measure import number, timed
from shared.candles.bar_ends import ends_of
from shared.candles.bar_fold import BarFold
from shared.market.bar_types import BarType
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks

TICKS = number("TICKS", 5_000_000)
PLAIN = 200_000
TYPES = ("tick:100", "volume:25", "dollar:2000000", "range:2", "range:10")


def market(n: int) -> Ticks:
    source = np.random.default_rng(1)
    steps = source.integers(-5, 6, n) * (source.random(n) < 1 / 3)
    numbers = np.arange(n, dtype=np.int64)
    return _market.ticks(
        "bench",
        Entries.of(Entry("BTC-USD", 2, 8, n)),
        numbers * 17_000,
        7_500_000 + np.cumsum(steps),
        source.integers(1, 50_000_000, n),
        numbers,
        received_us=numbers * 17_000 + 800,
        sequence=numbers << 16,
        chance=source,
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
        bars = len(BarFold(type_).take(ticks)[0])
        assert bars == len(ends_of(type_).rows(ticks))
        ends_s = timed(lambda: ends_of(type_).rows(ticks))  # noqa: B023 - called at once
        bars_s = timed(lambda: BarFold(type_).take(ticks))  # noqa: B023
        print(
            f"  {name:16} {bars:>9,} bars   ends {TICKS / ends_s / 1e6:6.1f} M/s"
            f"   whole bars {TICKS / bars_s / 1e6:6.1f} M/s"
        )
    sizes = ticks.size[:PLAIN].tolist()
    plain_s = timed(lambda: plain(sizes, 25 * 10**8))
    print(f"  a plain loop that only counts {PLAIN / plain_s / 1e6:.1f} M/s")
