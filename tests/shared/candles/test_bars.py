"""Information bars equal a plain loop over the trades, however the trades are split."""

from __future__ import annotations

import gzip
import itertools
import json
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.candles.bar_fold import BarFold, Bars
from shared.market.bar_types import BarType, Measure
from shared.market.decimals import from_mantissa
from shared.wire.candle_columns import CandleColumns
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import NO_ID, VOLUME_ONLY, Ticks


@dataclass(slots=True)
class Plain:
    """A bar of the plain loop."""

    start_us: int
    prices: list[Decimal]
    volume: Decimal
    notional: Decimal
    value: Decimal
    count: int
    bought: Decimal
    sold: Decimal

    def reaches(self, type_: BarType) -> bool:
        measured = {
            Measure.TICK: Decimal(self.count),
            Measure.VOLUME: self.volume,
            Measure.DOLLAR: self.value,
            Measure.RANGE: max(self.prices) - min(self.prices) if self.prices else Decimal(0),
        }
        return measured[type_.measure] >= type_.amount


Trade = tuple[Decimal, Decimal, int, bool]
"""Price, size, side, whether it is for volume only."""


def plain(trades: list[Trade], type_: BarType) -> list[Plain]:
    with localcontext(prec=400):
        return _plain(trades, type_)


def _plain(trades: list[Trade], type_: BarType) -> list[Plain]:
    found: list[Plain] = []
    bar: Plain | None = None
    for time_us, (price, size, side, volume_only) in enumerate(trades):
        if bar is None:
            bar = Plain(time_us, [], *(Decimal(0),) * 3, 0, Decimal(0), Decimal(0))
        bar.volume += size
        bar.notional += price * size
        bar.value += abs(price) * size
        bar.count += 1
        bar.bought += size * (side == 1)
        bar.sold += size * (side == 2)
        if not volume_only:
            bar.prices.append(price)
            if bar.reaches(type_):
                found.append(bar)
                bar = None
    return found if bar is None or not bar.prices else [*found, bar]


def column(values: list[int]) -> np.ndarray:
    wide = any(abs(each) > 2**63 - 1 for each in values)
    return np.array(values, dtype=object if wide else np.int64)


def ticks(trades: list[Trade], first_us: int, price_scale: int, size_scale: int) -> Ticks:
    n = len(trades)
    numbers = np.arange(first_us, first_us + n, dtype=np.int64)
    return Ticks(
        "s",
        Entries.of(Entry("A", price_scale, size_scale, n)),
        numbers,
        column([int(each[0].scaleb(price_scale)) for each in trades]),
        column([int(each[1].scaleb(size_scale)) for each in trades]),
        np.array([each[2] for each in trades], dtype=np.uint8),
        np.full(n, NO_ID, dtype=np.uint8),
        np.zeros(n, dtype=np.int64),
        None,
        numbers,
        numbers,
        np.array([VOLUME_ONLY * each[3] for each in trades], dtype=np.uint8),
    )


def shown(bars: Bars) -> list[tuple[object, ...]]:
    columns = CandleColumns("x", ["A"] * len(bars), bars.start_us, bars.records)
    return [
        (
            c.start_us,
            c.open,
            c.high,
            c.low,
            c.close,
            c.volume,
            c.notional,
            c.trade_count,
            c.buy_volume,
            c.sell_volume,
        )
        for c in columns.candles()
        if c.trade_count
    ]


def expected(bars: list[Plain]) -> list[tuple[object, ...]]:
    return [
        (
            b.start_us,
            b.prices[0],
            max(b.prices),
            min(b.prices),
            b.prices[-1],
            b.volume,
            b.notional,
            b.count,
            b.bought,
            b.sold,
        )
        for b in bars
    ]


def decimal_places(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)


def check(trades: list[Trade], type_: BarType, cuts: list[int], scales: list[int]) -> None:
    fold = BarFold(type_)
    edges = sorted({0, len(trades), *(cut % (len(trades) + 1) for cut in cuts)})
    found: list[tuple[object, ...]] = []
    for number, (first, last) in enumerate(itertools.pairwise(edges)):
        some = trades[first:last]
        exact = [max(0, *map(decimal_places, each)) for each in list(zip(*some, strict=True))[:2]]
        more = scales[number % len(scales)]
        found += shown(fold.take(ticks(some, first, exact[0] + more, exact[1] + more))[0])
    priced = fold.open.records.has(8)
    rest = Bars(fold.open.start_us[priced], fold.open.records.at(priced))
    assert found + shown(rest) == expected(plain(trades, type_))


def decimals(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.builds(from_mantissa, st.integers(low, high), st.integers(0, 3))


PRICES = decimals(-40, 40) | st.sampled_from([Decimal(5), Decimal(10**20), Decimal(2**62)])
SIZES = decimals(0, 30) | st.sampled_from([Decimal(2**62), Decimal(10**19)])
TRADES = st.lists(
    st.tuples(PRICES, SIZES, st.integers(0, 2), st.integers(0, 5).map(lambda n: n == 0)),
    max_size=60,
)
TYPES = st.sampled_from(
    [
        *("1t", "3t", "7t", "volume:1", "volume:12.5", "volume:9223372036854775807", "dollar:30"),
        *("dollar:0.001", "range:1", "range:0.25", "range:7.5", "100v", "1000usd", "5r"),
    ]
).map(BarType.parse)


@given(
    TRADES, TYPES, st.lists(st.integers(0, 60), max_size=6), st.lists(st.integers(0, 2), min_size=1)
)
def test_bars_equal_a_plain_loop(
    trades: list[Trade], type_: BarType, cuts: list[int], scales: list[int]
) -> None:
    """Bars equal the plain loop for any prices, volume-only trades and splits, with exact sums."""
    check(trades, type_, cuts, scales)


@pytest.mark.parametrize("type_", ["50t", "volume:7", "dollar:25000", "range:1.5", "range:0.01"])
def test_bars_of_long_days_equal_a_plain_loop(type_: str) -> None:
    """Bars longer than a window, repeated prices and sums beyond 64 bits equal the plain loop."""
    source = np.random.default_rng(1)
    price = 2000 + np.cumsum(source.integers(-1, 2, 4_000) * (source.random(4_000) < 0.3))
    trades: list[Trade] = [
        (Decimal(int(p)).scaleb(-2), Decimal(int(s)).scaleb(-17), int(side), False)
        for p, s, side in zip(
            price, source.integers(1, 10**17, 4_000), source.integers(0, 3, 4_000), strict=True
        )
    ]
    check(trades, BarType.parse(type_), [1_000, 1_001, 2_500], [0])


@pytest.mark.parametrize("type_", ["100t", "volume:5000", "dollar:20", "range:0.00001"])
def test_bars_of_recorded_trades_equal_a_plain_loop(type_: str, recorded_data: Path) -> None:
    """Bars of Binance's XRP/ETH trades, with ties in time and split, equal the plain loop."""
    with gzip.open(recorded_data / "binance" / "XRP_ETH-trades.json.gz", "rt") as file:
        rows = json.load(file, parse_float=Decimal)
    trades = [
        (Decimal(row[4]), Decimal(row[5]), 1 if row[3] == "buy" else 2, False) for row in rows
    ]
    assert len(trades) > 10_000
    check(trades, BarType.parse(type_), [3_000, 3_001, 9_000], [0])


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
@pytest.mark.parametrize("type_", ["100t", "volume:5", "dollar:20000", "range:10"])
def test_bars_of_captured_streams_equal_a_plain_loop(
    symbol: str, type_: str, recorded_data: Path
) -> None:
    """Bars of captured Binance streams in received order equal the plain loop."""
    trades: list[Trade] = []
    with gzip.open(recorded_data / "binance" / f"{symbol}_20240808.gz", "rt") as file:
        for line in file:
            if '"e":"trade"' in line:
                data = json.loads(line.partition(" ")[2])["data"]
                side = 2 if data["m"] else 1
                trades.append((Decimal(data["p"]), Decimal(data["q"]), side, False))
    assert len(trades) > 1_000
    check(trades, BarType.parse(type_), [700], [0])


@pytest.mark.parametrize(
    "text", ["", "5", "tick:0", "tick:1.5", "volume:-1", "volume", "cats:5", "volume:5v", "1e5v"]
)
def test_an_invalid_bar_type_is_refused_with_the_valid_ones(text: str) -> None:
    """An invalid bar type is refused with a list of the valid ones.

    An amount is above zero, and a number of trades is whole.
    """
    with pytest.raises(ValueError, match=r"tick:100|more than 0|whole number"):
        BarType.parse(text)


def test_equal_types_have_equal_names() -> None:
    """Equal bar types have equal names however they are written."""
    assert {BarType.parse(each).name for each in ("1000v", "volume:1000", "volume:1000.0")} == {
        "volume:1000"
    }
    assert BarType.parse("1000000usd") == BarType.parse("dollar:1000000")
    longest = f"volume:{'9' * 24}.{'1' * 24}"
    assert BarType.parse(longest).name == longest


def test_bars_are_independent_of_the_order_of_arrival() -> None:
    """Shuffled trades, sorted by the total order, give the same bars."""
    trades: list[Trade] = [(Decimal(n % 7), Decimal(n % 5), 1, False) for n in range(300)]
    whole = ticks(trades, 0, 0, 0)
    shuffled = np.random.default_rng(2).permutation(300)
    order = np.argsort(whole.event_time_us[shuffled])
    again = replace(whole, price=whole.price[shuffled][order], size=whole.size[shuffled][order])
    type_ = BarType.parse("volume:11")
    assert shown(BarFold(type_).take(whole)[0]) == shown(BarFold(type_).take(again)[0])
