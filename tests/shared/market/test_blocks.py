"""Records of candles merge exactly, whatever the scales, signs and sizes of their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.market import int128
from shared.market.blocks import CLOSED, INCOMPLETE, PRICED, RECORD, WIDE, Records, fold, merge

INTS = st.one_of(
    st.integers(-(10**4), 10**4),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.integers(-(2**127), 2**127 - 1),
    st.integers(-(10**60), 10**60),
    st.sampled_from([2**63 - 1, -(2**63) + 1, 2**127 - 1, -(2**127), 2**64, 0]),
)


@st.composite
def records(draw: st.DrawFn, n: int) -> Records:
    """Arbitrary records with distinct order keys; a few have volume only."""
    made = Records.empty(n)
    for row in range(n):
        here = made.data[row]
        here["price_scale"], here["size_scale"] = draw(st.integers(0, 25)), draw(st.integers(0, 9))
        priced = draw(st.sampled_from([True, True, True, False]))
        numbers = [draw(INTS) for _ in range(8)]
        if priced:
            here["flags"] |= PRICED
            keys = sorted([draw(KEYS), draw(KEYS)])
            here["first"], here["last"] = keys
        else:
            numbers[:4] = [0, 0, 0, 0]
        here["count"] = draw(st.integers(1, 10**6))
        made.set_numbers(row, tuple(numbers))
    return made


KEYS = st.tuples(*[st.integers(0, 3)] * 4, st.integers(0, 10**9))


def plain(some: Records) -> list[tuple[Any, ...]]:
    """Each record at common scales, as Python integers."""
    found = []
    for row, numbers in enumerate(some.all_numbers()):
        here = some.data[row]
        price, size = 10 ** (25 - int(here["price_scale"])), 10 ** (9 - int(here["size_scale"]))
        factors = (price,) * 4 + (size, price * size, size, size)
        exact = tuple(n * f for n, f in zip(numbers, factors, strict=True))
        keys = (tuple(here["first"].tolist()), tuple(here["last"].tolist()))
        found.append((exact, keys, int(here["count"]), bool(here["flags"] & PRICED)))
    return found


def merged(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """The definition of a merge, one row at a time."""
    (x, (first_a, last_a), count_a, priced_a), (y, (first_b, last_b), count_b, priced_b) = a, b
    sums = tuple(i + j for i, j in zip(x[4:], y[4:], strict=True))
    prices = x[:4] if priced_a else y[:4]
    if priced_a and priced_b:
        prices = (
            (y if first_b < first_a else x)[0],
            max(x[1], y[1]),
            min(x[2], y[2]),
            (y if last_b > last_a else x)[3],
        )
    keys = (min(first_a, first_b), max(last_a, last_b))
    return (*prices, *sums), keys, count_a + count_b, priced_a or priced_b


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(records(n), records(n))))
def test_merge_equals_exact_integers(pair: tuple[Records, Records]) -> None:
    """A merge of records equals the same merge with Python integers, in both directions."""
    a, b = pair
    expected = [merged(x, y) for x, y in zip(plain(a), plain(b), strict=True)]
    assert plain(merge(a, b)) == expected
    for one, other in zip(plain(merge(b, a)), expected, strict=True):
        if one[1][0] != one[1][1]:  # real ticks never share a key; generated ones may
            assert one[0][4:] == other[0][4:]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_fold_equals_repeated_merges(sizes: list[int], data: st.DataObject) -> None:
    """A fold of groups of any length equals merging their records one by one."""
    some = data.draw(records(sum(sizes)))
    some.data["first"][:, 4] = some.data["last"][:, 4] = np.arange(len(some))
    starts = np.cumsum(sizes) - np.array(sizes)
    rows = plain(some)
    expected = []
    for start, size in zip(starts.tolist(), sizes, strict=True):
        whole = rows[start]
        for row in rows[start + 1 : start + size]:
            whole = merged(whole, row)
        expected.append(whole)
    assert plain(fold(some, starts)) == expected


@given(records(5))
def test_records_survive_serialization(some: Records) -> None:
    """Wide and narrow records read from their bytes are unchanged."""
    blobs = some.encode()
    back = Records.decode(blobs)
    assert back.wide == some.wide
    assert (back.data == some.data).all()
    assert [len(b) == RECORD.itemsize for b in blobs] == (~some.has(WIDE)).tolist()


def test_a_merge_keeps_flags_and_revision_of_its_target() -> None:
    """A merge changes a candle's numbers and leaves its flags and revision."""
    a, b = Records.empty(1), Records.empty(1)
    a.data["flags"], a.data["revision"] = CLOSED | PRICED, 7
    b.data["flags"] = INCOMPLETE | PRICED
    assert merge(a, b).data["flags"][0] == CLOSED | PRICED
    assert merge(a, b).data["revision"][0] == 7


@given(st.lists(st.tuples(*[st.integers(-(2**63) + 1, 2**63 - 1)] * 2), min_size=1, max_size=8))
def test_sums_of_products_are_exact(pairs: list[tuple[int, int]]) -> None:
    """The sum of products of two 64-bit columns is exact, or an error beyond 128 bits."""
    a, b = (np.array(each, dtype=np.int64) for each in zip(*pairs, strict=True))
    total, unfit = int128.group_sums_of_products(a, b, np.array([0]))
    exact = sum(x * y for x, y in pairs)
    assert unfit[0] or int128.to_ints(total) == [exact]
    assert not unfit[0] or abs(exact) >= 2**124


@given(st.integers(-(2**127), 2**127 - 1), st.integers(0, 60))
def test_scaling_is_exact_or_refused(value: int, decimals: int) -> None:
    """Scaling by a power of ten is exact or an error."""
    result, unfit = int128.scaled(int128.of_ints([value]), np.array([decimals]))
    exact = value * 10**decimals
    assert unfit[0] or int128.to_ints(result) == [exact]
    assert not unfit[0] or abs(exact) > 1.5e38
