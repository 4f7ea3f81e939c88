"""Trades are counted once, whichever replica applies an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.candle_aggregate.steps import seen_ids
from functions.candle_aggregate.steps.cache import Instruments
from functions.candle_aggregate.steps.seen_ids import Minute, SeenCache
from functions.candle_aggregate.steps.trade_ids import Part, Trades
from shared.market.instruments import Market
from shared.schema import state_pb2
from shared.wire.instrument_table import Entries
from shared.wire.ticks import NO_ID, Ticks
from tests.functions.candle_aggregate.truth import Row, as_ticks, with_id
from tests.functions.candle_aggregate.world import NOW_US

MINUTE_US = 60_000_000
SHARDS = 2

HIGHEST = 2**63 - 1

ids = st.builds(
    lambda last, step, count: range(last - step * (count - 1), last + 1, step),
    *(st.integers(-100, 300), st.integers(1, 7), st.integers(1, 40)),
)
"""Ids of one instrument in one event: without gaps where the step is 1."""
sent = st.tuples(ids, st.sampled_from("iiitm"), st.sampled_from(["V", "V", "W"]))
"""Ids, their kind (integers, texts, or mixed with none), and the venue."""
event = st.dictionaries(st.sampled_from("ABC"), sent, min_size=1)
step = st.tuples(
    st.lists(event, min_size=1, max_size=3), st.integers(0, 2), st.booleans(), st.booleans()
)
"""Events, the replica, whether it is of an older version, and whether the step is lost."""

Sent = tuple[range, str, str]
Step = tuple[list[dict[str, Sent]], int, bool, bool]


def ticks_of(number: int, of_event: Mapping[str, Sent]) -> Ticks:
    """One trade each ten milliseconds; each fifth event reaches into the next minute."""
    begin_us = NOW_US // MINUTE_US * MINUTE_US + (number % 5 == 4) * (MINUTE_US - 100_000)
    ticks = as_ticks(
        Row(
            *(name, begin_us + n * 10_000, *with_id(_id(kind, n, trade_id)), NOW_US, "udp-1"),
            *(1000 * number + n, 100, 1, 0),
        )
        for name, (trade_ids, kind, _) in of_event.items()
        for n, trade_id in enumerate(trade_ids)
    )
    entries = (
        replace(each, market=Market(of_event[each.name][2], each.name)) for each in ticks.entries
    )
    return replace(ticks, entries=Entries.of(*entries))


def _id(kind: str, place: int, trade_id: int) -> int | str | None:
    if kind == "m":
        kind = "itn"[place % 3]
    if kind == "t":
        return str(trade_id)
    return trade_id if kind == "i" else None


def integers(name: str, trade_ids: range) -> dict[str, Sent]:
    return {name: (trade_ids, "i", "V")}


@given(st.lists(step, max_size=8))
@example(
    [
        ([integers("A", range(0, 80, 2))], 0, False, False),
        ([integers("A", range(200, 280, 2))], 0, False, False),
        # between: no id of the others
        ([integers("A", range(100, 180, 2))], 1, False, False),
        # within the range, but other ids
        ([integers("A", range(101, 181, 2))], 0, False, False),
        # the first two and the last two again
        ([integers("A", range(178, 204, 2))], 1, False, False),
    ]
)
@example([([integers("A", range(HIGHEST - 8, HIGHEST + 1, 2))], 0, False, False)] * 2)
@example([([integers("A", range(-HIGHEST - 1, 0, 2**61))], 0, True, False)] * 2)
@example(
    [
        # the venue of the first integers decides, not that of texts
        ([{"A": (range(9), "i", "W")}, {"A": (range(9), "t", "V")}], 0, False, False),
        ([{"A": (range(9), "i", "W")}], 0, False, False),
    ]
)
def test_each_id_counts_once_whichever_replica_applies_an_event(steps: list[Step]) -> None:
    """Each trade is kept once, the first in the total order, also after a step that is lost.

    Replicas read only what others appended, in either form, and forget minutes.
    """
    instruments = Instruments(SHARDS)
    names = instruments.gids(("A", "B", "C"))
    instruments.begin(names, range(len(names)))
    strings: dict[Minute, bytes] = defaultdict(bytes)
    caches = [SeenCache() for _ in range(3)]
    counted: set[tuple[object, ...]] = set()
    numbers = count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen_ids, "_MINUTES", 1)
        for events, replica, is_of_older_version, is_lost in steps:
            cache = caches[replica]
            batches = [ticks_of(next(numbers), each) for each in events]
            parts = [Part("", each, instruments.gids(each.names)) for each in batches]
            before = instruments.data.copy()
            trades = Trades(parts, instruments)
            for minute in trades.lookups:
                cache.load(minute, strings[minute][cache.size(minute) :])
            chunks = trades.decide(cache.minutes)
            cache.trim()
            known = counted.copy()
            assert [each.tolist() for each in trades.keep] == _kept(batches, known)
            if is_lost:
                instruments.data[:] = before
                continue
            counted = known
            for minute, chunk in chunks.items():
                strings[minute] += _without_ranges(chunk) if is_of_older_version else chunk


def _kept(batches: Sequence[Ticks], counted: set[tuple[object, ...]]) -> list[list[bool]]:
    """Tell which ticks are trades that were not counted, and count them."""
    kept = [[True] * len(ticks) for ticks in batches]
    places = [(n, row) for n, ticks in enumerate(batches) for row in range(len(ticks))]
    for n, row in sorted(places, key=lambda place: batches[place[0]].key_at(place[1])):
        ticks = batches[n]
        entry = ticks.entries[int(ticks.entries.of_row[row])]
        minute, kind = int(ticks.event_time_us[row]) // MINUTE_US, int(ticks.trade_id_kind[row])
        id_ = int(ticks.trade_id[row]), ticks.text_at(row)
        trade = (entry.name, entry.market.venue, minute, kind, id_)
        if kind != NO_ID:
            kept[n][row] = trade not in counted
            counted.add(trade)
    return kept


def _without_ranges(chunk: bytes) -> bytes:
    message = state_pb2.SeenTrades.FromString(chunk)
    for name in ("range_number", "range_first", "range_last", "ranged_bytes"):
        message.ClearField(name)
    return message.SerializeToString()
