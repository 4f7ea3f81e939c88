"""Estimated sides and volume by price equal a plain loop, however the trades are split."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, localcontext
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.candles.order_flow import DAY_US, Profile, TickRule, Volumes, value_area
from shared.candles.trades import Rows, Trades
from shared.market.decimals import from_mantissa
from shared.wire.ticks import NO_ID, VOLUME_ONLY

Print = tuple[int, int, int, int, bool]
"""Time in half days, price and size mantissas, side, whether it is for volume only."""


def trades(prints: list[Print], price_scale: int, more: int) -> Trades:
    n = len(prints)
    wide = any(abs(each[1]) * 10**more > 2**62 for each in prints)
    kind = object if wide else np.int64
    price = np.array([each[1] * 10**more for each in prints], dtype=kind)
    size = np.array([each[2] for each in prints], dtype=np.int64)
    numbers, texts = np.arange(n, dtype=np.int64), np.full(n, "", dtype=object)
    rows = Rows(
        np.array([each[0] * DAY_US // 2 for each in prints], dtype=np.int64),
        price,
        size,
        np.full(n, price_scale + more, dtype=np.int16),
        np.full(n, 3, dtype=np.int16),
        np.array([each[3] for each in prints], dtype=np.uint8),
        np.full(n, NO_ID, dtype=np.uint8),
        numbers,
        texts,
        numbers,
        texts,
        numbers,
        np.array([VOLUME_ONLY * each[4] for each in prints], dtype=np.uint8),
        texts,
    )
    return Trades(rows, price, size, price_scale + more, 3, np.zeros(n, dtype=np.int64))


def plain_sides(prints: list[Print]) -> list[int]:
    found = []
    day = last = None
    side = 0
    for time, price, _, known, volume_only in prints:
        if volume_only:
            found.append(0)
            continue
        if time // 2 != day:
            day, last, side = time // 2, None, 0
        if last is not None and price != last:
            side = 1 if price > last else 2
        last = price
        found.append(0 if known else side)
    return found


PRINTS = st.lists(
    st.tuples(
        *(st.integers(0, 5), st.integers(-6, 6) | st.just(2**63 - 1), st.integers(0, 2**40)),
        *(st.sampled_from([0, 0, 1, 2]), st.integers(0, 4).map(lambda n: n == 0)),
    ),
    max_size=40,
).map(lambda prints: sorted(prints, key=lambda each: each[0]))
STEPS = st.sampled_from([None, *map(Decimal, ("0.01", "0.3", "5", "0.0001", "100"))])


@example([(0, -1, 1, 0, False)], Decimal(f"1{'0' * 23}.{'0' * 23}1"), [], 0)
@given(PRINTS, STEPS, st.lists(st.integers(0, 40), max_size=4), st.integers(0, 3))
def test_sides_and_volumes_equal_a_plain_loop(
    prints: list[Print], step: Decimal | None, cuts: list[int], more: int
) -> None:
    """Estimated sides and volumes of each day equal the plain loop exactly, at any scale."""
    rule, profile = TickRule(), Profile(step)
    sides: list[int] = []
    for number, (first, last) in enumerate(pairwise(sorted({0, len(prints), *cuts}))):
        some = trades(prints[first:last], 2, more if number % 2 else 0)
        found = rule.sides(some)
        sides += found.tolist()
        profile.take(some, found)
    assert sides == plain_sides(prints)
    expected: dict[Decimal, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 5)
    with localcontext(prec=100):
        for (_, price, size, side, _), estimate in zip(prints, sides, strict=True):
            exact = from_mantissa(price, 2)
            key = exact if step is None else (exact / step).to_integral_value("ROUND_FLOOR") * step
            columns = (True, side == 1, side == 2, estimate == 1, estimate == 2)
            expected[key] = [
                a + from_mantissa(size, 3) * b for a, b in zip(expected[key], columns, strict=True)
            ]
        notional = sum((from_mantissa(each[1] * each[2], 5) for each in prints), Decimal(0))
    assert {
        price: [each.volume, each.buy, each.sell, each.est_buy, each.est_sell]
        for price, each in profile.levels.items()
    } == expected
    assert profile.total.notional == notional
    assert profile.total.volume == sum(each[2] for each in prints) * Decimal("0.001")


@pytest.mark.parametrize(
    ("volumes", "share", "expected"),
    [
        ([1, 5, 10, 6, 2], "0.7", (102, 101, 103)),
        ([1, 5, 10, 6, 2], "0.6", (102, 102, 103)),
        ([1, 5, 10, 6, 2], "1", (102, 100, 104)),
        ([4, 4, 4], "0.5", (101, 101, 102)),  # equal volumes: the middle price, then upwards first
        ([7], "0.7", (100, 100, 100)),
        ([4, 4], "0.1", (100, 100, 100)),
    ],
)
def test_the_value_area_grows_from_the_point_of_control(
    volumes: list[int], share: str, expected: tuple[int, int, int]
) -> None:
    """The value area grows by the neighbour with more volume until it has its share."""
    levels = {Decimal(100 + n): Volumes(Decimal(each)) for n, each in enumerate(volumes)}
    area = value_area(levels, Decimal(share))
    assert area is not None
    assert (area.poc, area.low, area.high) == tuple(map(Decimal, expected))


def test_without_volume_there_is_no_value_area() -> None:
    """Trades of size 0 have prices and no value area."""
    assert value_area({Decimal(1): Volumes()}, Decimal("0.7")) is None


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=6))
@example([-9])
def test_a_value_area_ends_whatever_the_volumes(volumes: list[int]) -> None:
    """Volumes below zero, which no trade has, give an area within the prices."""
    levels = {Decimal(n): Volumes(Decimal(volume)) for n, volume in enumerate(volumes)}
    area = value_area(levels, Decimal(1))
    assert (area is None) == (sum(volumes) == 0)
    assert area is None or area.low <= area.poc <= area.high <= len(volumes)
