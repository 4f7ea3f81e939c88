"""The kernel and the set of seen trades equal their plain definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from functions.candle_aggregate.seen import BlockKey, SeenTrades, trades_by_block, unseen
from shared.candle import Candle
from shared.decimals import INT64_MAX
from shared.entries import Entries, Entry
from shared.kernel import partial_candles, rolled_up
from shared.ticks import Ticks
from shared.timeframes import parse_ladder
from tests.functions.candle_aggregate.reference import Tick, as_columns, reference_candles

LADDER = parse_ladder("1m,5m,1h")
MINUTE = 60_000_000

ticks = st.lists(
    st.builds(
        Tick,
        st.sampled_from(["A", "B"]),
        st.integers(0, 20 * MINUTE),
        st.integers(1, 10**6),
        st.integers(1, 10**6),
        st.integers(0, 10**6),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda t: t.trade_id,
)


def fields_of(candle: Candle) -> dict[str, object]:
    names = (
        *("open", "high", "low", "close", "volume", "notional", "trade_count"),
        *("buy_volume", "sell_volume", "first_time_us", "last_time_us"),
    )
    return {name: getattr(candle, name) for name in names}


@given(ticks)
def test_candles_of_every_timeframe_equal_the_definition(rows: list[Tick]) -> None:
    """One batch, folded by array operations and rolled up, is the tick-by-tick result."""
    found = rolled_up(partial_candles(as_columns(rows), LADDER[0]), LADDER)
    for timeframe in LADDER:
        expected = reference_candles(rows, timeframe.length_us)
        actual = {
            (name, start): fields_of(state.candle)
            for (name, tf, start), state in found.items()
            if tf == timeframe.name
        }
        assert actual == expected


@given(
    st.lists(
        st.tuples(st.integers(-INT64_MAX, INT64_MAX), st.integers(0, INT64_MAX)),
        min_size=1,
        max_size=9,
    )
)
def test_sums_are_exact_at_the_ends_of_64_bits(rows: list[tuple[int, int]]) -> None:
    """Volume and notional of the largest mantissas do not overflow, and do not round."""
    n = len(rows)
    zeros = np.zeros(n, dtype=np.int64)
    columns = Ticks(
        "udp-1",
        Entries.of(Entry("A", 0, 0, n)),
        zeros,
        np.array([p for p, _ in rows], dtype=np.int64),
        np.array([s for _, s in rows], dtype=np.int64),
        np.ones(n, dtype=np.uint8),
        zeros.astype(np.uint8),
        zeros,
        None,
        zeros,
        np.arange(n),
        zeros.astype(np.uint8),
    )
    (state,) = partial_candles(columns, LADDER[0])
    assert int(state.candle.volume) == sum(s for _, s in rows)
    assert int(state.candle.buy_volume) == sum(s for _, s in rows)
    assert int(state.candle.notional) == sum(p * s for p, s in rows)


@given(st.lists(st.lists(st.integers(0, 60)), max_size=8))
def test_seen_ids_are_the_set_of_what_was_added(batches: list[list[int]]) -> None:
    """Runs of integers answer as a plain set does, and survive being stored."""
    seen, plain = SeenTrades.none(), set[int]()
    everything = np.arange(-2, 64)
    for batch in batches:
        seen = SeenTrades.decode(
            seen.with_ids(np.array(batch, dtype=np.int64), frozenset()).encode()
        )
        plain |= set(batch)
        assert set(everything[seen.contains(everything)].tolist()) == plain
        starts, ends = seen.start, seen.start + seen.length
        assert (starts[1:] > ends[:-1]).all()  # runs are joined where they touch


@given(st.lists(ticks, min_size=1, max_size=4), st.data())
def test_each_trade_counts_once_however_often_it_comes(
    batches: list[list[Tick]], data: st.DataObject
) -> None:
    """Trades repeated within a batch and across batches are dropped before the kernel."""
    everything = [t for batch in batches for t in batch]
    unique = {t.trade_id: t for t in reversed(everything)}
    seen: dict[BlockKey, SeenTrades] = {}
    counted: list[tuple[str, int]] = []
    for batch in batches:
        again = data.draw(st.lists(st.sampled_from(everything), max_size=5))
        rows = [unique[t.trade_id] for t in batch + again]
        columns = as_columns(rows)
        blocks = trades_by_block(columns)
        for key in blocks:
            seen.setdefault(key, SeenTrades.none())
        keep, grown = unseen(columns, blocks, seen)
        seen.update(grown)
        kept = columns.select(keep)
        for entry, run in kept.runs():
            counted += [(entry.name, int(i)) for i in kept.trade_id[run]]
    assert len(counted) == len(set(counted))
    assert {i for _, i in counted} >= {t.trade_id for batch in batches for t in batch}


EDGES = [n * 4096 + d for n in (0, 1, 7) for d in (-2, -1, 0, 1)] + [-(2**63), 2**63 - 1]


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.sampled_from(EDGES)),
            min_size=1,
            max_size=30,
        ),
        max_size=6,
    )
)
def test_trades_are_told_apart_by_instrument_minute_and_id(
    batches: list[list[tuple[str, int, int]]],
) -> None:
    """At the ends of blocks and of 64 bits too; what was seen is the plain set of them."""
    seen: dict[BlockKey, SeenTrades] = {}
    plain: set[tuple[str, int, int]] = set()
    for batch in batches:
        columns = as_columns(
            [Tick(name, minute * MINUTE, id_, 1, 1, 0) for name, minute, id_ in batch]
        )
        blocks = trades_by_block(columns)
        for key in blocks:
            seen.setdefault(key, SeenTrades.none())
        keep, grown = unseen(columns, blocks, seen)
        assert all(len(grown[key].start) for key in grown)
        seen.update((key, SeenTrades.decode(each.encode())) for key, each in grown.items())
        trades = sorted(batch)
        first = [trade not in plain and trades.index(trade) == n for n, trade in enumerate(trades)]
        assert keep.tolist() == first
        plain |= set(batch)
    everything = np.array(EDGES)
    found = {
        (name, minute, id_)
        for (name, minute, block), trades in seen.items()
        for id_ in everything[trades.contains(everything)].tolist()
        if id_ >> 12 == int(block[1:])
    }
    assert found == plain
