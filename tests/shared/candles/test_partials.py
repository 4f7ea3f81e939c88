"""The kernel: any split of ticks into batches gives the candles of the plain definition."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.candles.partials import partials
from shared.market.blocks import Records, concatenated, fold
from shared.market.decimals import EXACT, from_mantissa
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import INTEGER_ID, NO_ID, VOLUME_ONLY, Ticks

MINUTE = 60_000_000


class Print(NamedTuple):
    """A tick, its mantissas at the scales of its batch."""

    time_us: int
    trade_id: int | None
    receive_us: int
    price: int
    size: int
    side: int
    is_volume_only: bool

    def key(self, source: str, sequence: int) -> OrderKey:
        """Its place in the total order."""
        id_ = NO_ORDER_ID if self.trade_id is None else self.trade_id
        return OrderKey(self.time_us, id_, self.receive_us, source_key(source), sequence)


MANTISSAS = st.one_of(
    st.integers(-1_000, 10**7),
    st.sampled_from([0, -3763, 2**63 - 1, -(2**63) + 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)
WIDE = st.integers(-(10**45), 10**45)
SIZES = st.one_of(st.integers(0, 10**10), st.integers(0, 2**63 - 1))


@st.composite
def batches(draw: st.DrawFn) -> list[Ticks]:
    """Batches of one instrument, each at its own scales; some mantissas exceed 64 bits."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        wide = draw(st.sampled_from([False, False, False, True]))
        rows = draw(
            st.lists(
                st.builds(
                    Print,
                    st.integers(0, 5).map(lambda n: n * MINUTE // 2),
                    st.none() | st.integers(1, 10**12),
                    st.integers(0, 1),
                    WIDE if wide else MANTISSAS,
                    WIDE.map(abs) if wide else SIZES,
                    st.integers(0, 2),
                    st.sampled_from([False, False, False, True]),
                ),
                min_size=1,
                max_size=8,
            )
        )
        made.append(as_ticks(f"udp-{number}", rows, draw(st.integers(0, 9)), draw(SCALES), wide))
    return made


SCALES = st.integers(0, 9)


def as_ticks(
    source: str, rows: list[Print], price_scale: int, size_scale: int, wide: bool
) -> Ticks:
    """The batch as normalize emits it."""
    order = sorted(enumerate(rows), key=lambda each: each[1].key(source, each[0]))
    rows = [row for _, row in order]
    mantissas = object if wide else np.int64
    return Ticks(
        source,
        Entries.of(Entry("A", price_scale, size_scale, len(rows))),
        np.array([row.time_us for row in rows], dtype=np.int64),
        np.array([row.price for row in rows], dtype=mantissas),
        np.array([row.size for row in rows], dtype=mantissas),
        np.array([row.side for row in rows], dtype=np.uint8),
        np.array([NO_ID if row.trade_id is None else INTEGER_ID for row in rows], dtype=np.uint8),
        np.array([row.trade_id or 0 for row in rows], dtype=np.int64),
        None,
        np.array([row.receive_us for row in rows], dtype=np.int64),
        np.array([sequence for sequence, _ in order], dtype=np.int64),
        np.array([VOLUME_ONLY * row.is_volume_only for row in rows], dtype=np.uint8),
    )


def definition(some: list[Ticks]) -> dict[int, Candle]:
    """The candles in plain decimals, tick by tick; ticks without a price make none."""
    groups: dict[int, list[tuple[OrderKey, Decimal, Decimal, int, bool]]] = {}
    for ticks in some:
        (entry,) = ticks.entries
        for row in range(len(ticks)):
            groups.setdefault(int(ticks.event_time_us[row]) // MINUTE * MINUTE, []).append(
                (
                    ticks.key_at(row),
                    from_mantissa(int(ticks.price[row]), entry.price_scale),
                    from_mantissa(int(ticks.size[row]), entry.size_scale),
                    int(ticks.side[row]),
                    bool(ticks.flags[row] & VOLUME_ONLY),
                )
            )
    found = {}
    for start_us, rows in groups.items():
        rows.sort(key=lambda row: row[0])
        priced = [row for row in rows if not row[4]]
        if not priced:
            continue
        volume = bought = sold = notional = Decimal(0)
        for _, price, size, side, _ in rows:
            volume = EXACT.add(volume, size)
            notional = EXACT.add(notional, EXACT.multiply(price, size))
            bought = EXACT.add(bought, size if side == 1 else Decimal(0))
            sold = EXACT.add(sold, size if side == 2 else Decimal(0))
        first, last = priced[0], priced[-1]
        prices = [row[1] for row in priced]
        found[start_us] = Candle(
            *("A", "1m", start_us, first[1], max(prices), min(prices), last[1], volume, notional),
            *(len(rows), bought, sold, first[0].event_time_us, last[0].event_time_us),
        )
    return found


def candles(starts: list[int], records: Records) -> dict[int, Candle]:
    """Records as candle-aggregate emits them."""
    columns = CandleColumns("1m", ["A"] * len(starts), np.array(starts, dtype=np.int64), records)
    ready = columns.at(np.flatnonzero((records.data["flags"] & 8) != 0))
    return {each.start_us: each for each in ready.candles()}


@given(batches())
def test_any_batches_give_the_plain_definition(some: list[Ticks]) -> None:
    """Any batches give the plain candles: all signs, ties, wide sums and volume-only ticks."""
    found = [partials(ticks, MINUTE) for ticks in some]
    start_us = np.concatenate([each.start_us for each in found])
    order = np.argsort(start_us, kind="stable")
    records = concatenated([each.records for each in found]).at(order)
    begins = np.flatnonzero(np.append(True, np.diff(start_us[order]) != 0))
    merged = fold(records, begins)
    assert candles(start_us[order][begins].tolist(), merged) == definition(some)


@given(batches(), st.randoms(use_true_random=False))
def test_a_redelivery_in_other_batches_changes_nothing(some: list[Ticks], random: object) -> None:
    """Batches that are split and shuffled give the same candles."""
    parts = []
    for ticks in some:
        mask = np.array(
            [random.random() < 0.5 for _ in range(len(ticks))]  # type: ignore[attr-defined]
        )
        parts += [ticks.select(each) for each in (mask, ~mask) if each.any()]
    random.shuffle(parts)  # type: ignore[attr-defined]
    found = [partials(ticks, MINUTE) for ticks in parts]
    start_us = np.concatenate([each.start_us for each in found])
    order = np.argsort(start_us, kind="stable")
    begins = np.flatnonzero(np.append(True, np.diff(start_us[order]) != 0))
    merged = fold(concatenated([each.records for each in found]).at(order), begins)
    assert candles(start_us[order][begins].tolist(), merged) == definition(some)


def test_many_wide_groups_have_their_own_prices() -> None:
    """Each of many minutes whose prices exceed 64 bits has its own, and none where none counts."""
    rows = [
        Print(n * MINUTE // 2, None, n, 10**30 - n * (-1) ** n, n, n % 3, n % 7 < 3)
        for n in range(2_000)
    ]
    ticks = as_ticks("udp-1", rows, 2, 3, wide=True)
    found = partials(ticks, MINUTE)
    assert candles(found.start_us.tolist(), found.records) == definition([ticks])
