"""Shorter candles are folded into whole longer ones, whatever batches they come in."""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.candles.roll_up import folded, joined
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle

MINUTE = 60_000_000
THREE = Timeframe.parse("3m")


def part(minute: int, price: int, *, closed: bool = True) -> Candle:
    value = Decimal(price)
    return Candle(
        *("A", "1m", minute * MINUTE, value, value + 2, value - 2, value + 1, Decimal(2)),
        *(2 * value, 3, Decimal(1), Decimal("0.5"), minute * MINUTE + 1, minute * MINUTE + 9),
        closed=closed,
        revision=price,
    )


parts = st.dictionaries(st.integers(0, 40), st.integers(10, 99), max_size=25).map(
    lambda prices: [part(minute, price) for minute, price in sorted(prices.items())]
)


def cut(some: list[Candle], size: int) -> list[list[Candle]]:
    return [some[n : n + size] for n in range(0, len(some), size)]


def defined(some: list[Candle]) -> list[Candle]:
    """Group by interval, then take first, last, extremes and sums."""
    groups: dict[int, list[Candle]] = defaultdict(list)
    for each in some:
        groups[each.start_us // (3 * MINUTE) * 3 * MINUTE].append(each)
    return [
        replace(
            each[0],
            timeframe="3m",
            start_us=start,
            high=max(c.high for c in each),
            low=min(c.low for c in each),
            close=each[-1].close,
            volume=sum((c.volume for c in each), Decimal(0)),
            notional=sum((c.notional for c in each), Decimal(0)),
            trade_count=sum(c.trade_count for c in each),
            buy_volume=sum((c.buy_volume for c in each), Decimal(0)),
            sell_volume=sum((c.sell_volume for c in each), Decimal(0)),
            last_time_us=each[-1].last_time_us,
            revision=max(c.revision for c in each),
        )
        for start, each in sorted(groups.items())
    ]


@given(parts, st.integers(1, 6), st.booleans(), st.integers(1, 15))
def test_a_page_is_the_first_whole_candles_of_its_direction(
    some: list[Candle], size: int, newest: bool, limit: int
) -> None:
    """A page has the first whole candles in its direction, from batches of any size.

    `more` says whether others follow.
    """
    expected = defined(some)
    read = some[::-1] if newest else some
    found, more = folded(cut(read, size), THREE, limit, copy, newest=newest, max_batches=10**6)
    assert found == (expected[::-1] if newest else expected)[:limit]
    assert more == (len(expected) > limit)


@given(parts, st.integers(1, 4), st.booleans(), st.integers(1, 4))
def test_a_time_limit_never_splits_a_candle(
    some: list[Candle], size: int, newest: bool, patience: int
) -> None:
    """A page that ends early has only whole candles, and at least one if there is one."""
    expected = defined(some)[:: -1 if newest else 1]
    read = some[::-1] if newest else some
    found, more = folded(cut(read, size), THREE, 10**6, copy, newest=newest, max_batches=patience)
    assert found == expected[: len(found)]
    assert bool(found) == bool(expected)
    assert more or found == expected


def test_flags_are_those_of_the_least_final_part() -> None:
    """A fold is closed and complete if all parts are, and partial if one is."""
    sure = part(0, 10)
    unsure = replace(part(1, 11), closed=False, partial=True, complete=False)
    for first, second in ((sure, unsure), (replace(unsure, start_us=0), sure)):
        whole = joined(first, second)
        assert (whole.closed, whole.partial, whole.complete) == (False, True, False)
    assert joined(sure, part(1, 11)).closed


def test_after_so_many_batches_no_other_is_read() -> None:
    """After `max_batches` batches a page ends with the candles that are whole."""
    batches = iter(cut([part(minute, 10) for minute in range(9)], 1))
    found, more = folded(batches, THREE, 10, copy, newest=False, max_batches=5)
    assert (len(found), more) == (1, True)
    assert len(list(batches)) == 4
