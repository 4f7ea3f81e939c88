"""Trades are counted once, whichever replica applies an event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st

from functions.candle_aggregate.steps.cache import Instruments
from functions.candle_aggregate.steps.seen_ids import Minute, SeenCache
from functions.candle_aggregate.steps.trade_ids import Part, Trades
from shared.schema import state_pb2
from tests.functions.candle_aggregate.truth import Row, as_ticks, with_id
from tests.functions.candle_aggregate.world import NOW_US

MINUTE_US = 60_000_000
SHARDS = 2

ids = st.builds(
    lambda first, step, count: range(first, first + step * count, step),
    *(st.integers(0, 300), st.integers(1, 7), st.integers(1, 40)),
)
"""Ids of one instrument in one event: without gaps where the step is 1."""
event = st.dictionaries(st.sampled_from("ABC"), ids, min_size=1)


def rows(number: int, of_event: Mapping[str, range]) -> list[Row]:
    """One trade each ten milliseconds; each fifth event reaches into the next minute."""
    begin_us = NOW_US // MINUTE_US * MINUTE_US + (number % 5 == 4) * (MINUTE_US - 100_000)
    return [
        Row(
            *(name, begin_us + n * 10_000, *with_id(trade_id), NOW_US, "udp-1", 1000 * number + n),
            *(100, 1, 0),
        )
        for name, trade_ids in of_event.items()
        for n, trade_id in enumerate(trade_ids)
    ]


@given(st.lists(st.tuples(event, st.integers(0, 2), st.booleans()), max_size=12))
@example(
    [
        ({"A": range(0, 80, 2)}, 0, False),
        ({"A": range(200, 280, 2)}, 0, False),
        ({"A": range(100, 180, 2)}, 1, False),  # between: no id of the others
        ({"A": range(101, 181, 2)}, 0, False),  # within the range, but other ids
        ({"A": range(178, 204, 2)}, 1, False),  # the first two and the last two again
    ]
)
def test_each_id_counts_once_whichever_replica_applies_an_event(
    events: list[tuple[dict[str, range], int, bool]],
) -> None:
    """Each trade is kept once, though replicas read only what others appended, in either form."""
    instruments = Instruments(SHARDS)
    names = instruments.gids(("A", "B", "C"))
    instruments.begin(names, range(len(names)))
    strings: dict[Minute, bytes] = defaultdict(bytes)
    caches = [SeenCache() for _ in range(3)]
    counted: set[tuple[object, ...]] = set()
    for number, (of_event, replica, is_of_older_version) in enumerate(events):
        ticks = as_ticks(rows(number, of_event))
        part = Part(str(number), ticks, instruments.gids(ticks.names))
        trades = Trades([part], instruments)
        for minute in trades.lookups:
            caches[replica].load(minute, strings[minute][caches[replica].size(minute) :])
        chunks = trades.decide(caches[replica].minutes)
        for minute, chunk in chunks.items():
            strings[minute] += _without_ranges(chunk) if is_of_older_version else chunk
        keys = [
            (ticks.names[entry], int(ticks.event_time_us[row]) // MINUTE_US, ticks.trade_id[row])
            for row, entry in enumerate(ticks.entries.of_row)
        ]
        assert trades.keep[0].tolist() == [key not in counted for key in keys]
        counted |= set(keys)


def _without_ranges(chunk: bytes) -> bytes:
    message = state_pb2.SeenTrades.FromString(chunk)
    for name in ("range_number", "range_first", "range_last", "ranged_bytes"):
        message.ClearField(name)
    return message.SerializeToString()
