"""A window of candles is the same in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from functions.detect_pattern.window import BOUGHT, RECEIVED, REVISION, SOLD, TRADES, Window
from shared.wire.candle import Candle

decimals = st.one_of(
    st.decimals(-1000, 1000, places=2),
    st.decimals(-1, 1, places=18),
    st.integers(-(10**25), 10**25).map(Decimal),
)
candles = st.builds(
    Candle,
    st.just("A"),
    st.just("1m"),
    st.integers(0, 8).map(lambda minute: minute * 60_000_000),
    *(decimals,) * 6,
    st.integers(1, 2**40),
    *(decimals,) * 2,
    *(st.just(0),) * 2,
    revision=st.integers(1, 2**62),
)
Content = tuple[object, ...]


def content(each: Candle) -> Content:
    """Everything that evaluation needs but arrival time and revision."""
    prices = (each.open, each.high, each.low, each.close, each.volume)
    return *prices, each.buy_volume, each.sell_volume, each.trade_count, float(each.notional)


def contents(window: Window) -> list[Content]:
    """The same of every candle of a window."""
    volume_scale = 10**window.volume_scale
    return [
        (
            *window.prices(n),
            *(Fraction(row, volume_scale) for row in window.table[[BOUGHT, SOLD], n].tolist()),
            int(window.table[TRADES, n]),
            float(window.notional[n]),
        )
        for n in range(len(window))
    ]


def newest(coming: Sequence[Candle]) -> dict[int, Candle]:
    """The first candle with the highest revision of each start."""
    by_start: dict[int, Candle] = {}
    for each in coming:
        if each.start_us not in by_start or each.revision > by_start[each.start_us].revision:
            by_start[each.start_us] = each
    return by_start


@given(st.lists(st.lists(candles, max_size=5), max_size=5))
def test_the_highest_revision_of_each_start_counts(batches: list[list[Candle]]) -> None:
    """The highest revision of each start wins, with the arrival time of its first revision."""
    window = Window.of([])
    arrived: dict[int, int] = {}
    coming: list[Candle] = []
    for received_ms, batch in enumerate(batches):
        before = newest(coming)
        changed_us = window.merge(Window.of(batch, received_ms))
        for each in batch:
            arrived.setdefault(each.start_us, received_ms)
        coming += batch
        after = newest(coming)
        starts = sorted(after)
        assert window.starts.tolist() == starts
        assert contents(window) == [content(after[start]) for start in starts]
        assert window.table[REVISION].tolist() == [after[start].revision for start in starts]
        assert window.table[RECEIVED].tolist() == [arrived[start] for start in starts]
        changed = [
            start
            for start in after
            if start not in before or content(after[start]) != content(before[start])
        ]
        assert changed_us == min(changed, default=None)
    if not window.is_wide:
        read = Window.decode(window.encode(), window.price_scale, window.volume_scale)
        assert read.table.tolist() == window.table.tolist()


@given(st.lists(candles, min_size=1, max_size=5))
def test_detectors_see_the_nearest_doubles(coming: list[Candle]) -> None:
    """Detectors get the nearest double of every usable candle, whatever its neighbours' scale."""
    window = Window.of(coming)
    for index in range(len(window)):
        open_, high, low, close, volume = window.prices(index)
        prices = (open_, high, low, close)
        usable = 0 < low == min(prices) and high == max(prices) and volume >= 0
        assert window.usable(index, index + 1).tolist() == [usable]
        if usable:
            assert window.floats(index, index + 1).close.tolist() == [float(close)]


def test_a_withdrawn_candle_does_not_stand() -> None:
    """A candle whose trades were all cancelled counts with its revision only."""
    price, none = Decimal(7), Decimal(0)
    numbers = (price, price, price, price, none, none, 0, none, none)
    window = Window.of([Candle("A", "1m", 60_000_000, *numbers, 0, 0, revision=3)])
    assert window.table[REVISION].tolist() == [3]
    assert not len(window.standing())
