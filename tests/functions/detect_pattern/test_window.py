"""A window of candles is the same in any order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from functions.detect_pattern.window import ClosedCandle, Window

decimals = st.one_of(
    st.decimals(-1000, 1000, places=2),
    st.decimals(-1, 1, places=18),
    st.integers(-(10**25), 10**25).map(Decimal),
)
candles = st.builds(
    ClosedCandle,
    st.integers(0, 8).map(lambda minute: minute * 60_000_000),
    *(decimals,) * 5,
    st.integers(1, 2**62),
    st.integers(0, 10),
    *(decimals,) * 2,
    st.integers(0, 2**40),
    st.floats(min_value=0.001, allow_infinity=False),
)


def content(each: ClosedCandle) -> tuple[object, ...]:
    """Everything but arrival time and revision."""
    return (*each[1:6], *each[8:])


def newest(coming: Sequence[ClosedCandle]) -> dict[int, ClosedCandle]:
    """The first candle with the highest revision of each start."""
    by_start: dict[int, ClosedCandle] = {}
    for each in coming:
        if each.start_us not in by_start or each.revision > by_start[each.start_us].revision:
            by_start[each.start_us] = each
    return by_start


@given(st.lists(st.lists(candles, max_size=5), max_size=5))
def test_the_highest_revision_of_each_start_counts(batches: list[list[ClosedCandle]]) -> None:
    """The highest revision of each start wins, with the arrival time of its first revision."""
    window = Window.of([])
    arrived: dict[int, int] = {}
    coming: list[ClosedCandle] = []
    for batch in batches:
        before = {each.start_us: each for each in window}
        changed_us = window.merge(Window.of(batch))
        for start_us, each in newest(batch).items():
            arrived.setdefault(start_us, each.received_ms)
        coming += batch
        after = newest(coming)
        shown = [(each.start_us, each.revision, content(each)) for each in window]
        assert shown == [(n, after[n].revision, content(after[n])) for n in sorted(after)]
        assert [each.received_ms for each in window] == [arrived[start] for start in sorted(after)]
        changed = [
            start
            for start in after
            if start not in before or content(after[start]) != content(before[start])
        ]
        assert changed_us == min(changed, default=None)
    if not window.is_wide:
        read = Window.decode(window.encode(), window.price_scale, window.volume_scale)
        assert list(read) == list(window)


@given(st.lists(candles, min_size=1, max_size=5))
def test_detectors_see_the_nearest_doubles(coming: list[ClosedCandle]) -> None:
    """Detectors get the nearest double of every usable candle, whatever its neighbours' scale."""
    window = Window.of(coming)
    for index in range(len(window)):
        candle = window[index]
        prices = candle[1:5]
        usable = 0 < candle.low == min(prices) and candle.high == max(prices) and candle.volume >= 0
        assert window.usable(index, index + 1).tolist() == [usable]
        if usable:
            assert window.floats(index, index + 1).close.tolist() == [float(candle.close)]
