"""What storage says of each instrument: all that a rebuilt state knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from psycopg import Connection

from functions.candle_aggregate.instrument import Instrument, instruments_of
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.seen import BlockKey, SeenTrades, trades_by_block, unseen
from shared.candle import CandleState
from shared.kernel import CandleKey
from shared.lake.cold import Cold
from shared.lake.places import day_of
from shared.shards import shard_of
from shared.stores.recompute import flagged, fold, stored_trades
from shared.stores.segments import last_tick_us
from shared.ticks import Ticks


@dataclass(frozen=True, slots=True)
class Known:
    """An instrument that ticks were stored of: times (us) of the first and the last of them.

    `is_gone`: the day of the last one left Postgres. Then no candle of it is live: a tick that
    comes for one is late, and the candle repaired.
    """

    name: str
    first_us: int
    last_us: int
    is_gone: bool

    def floors(self, rules: Rules) -> dict[str, int]:
        """Return where the live candles of each timeframe begin (us).

        With the interval before the last one too: its candles may be open, or not emitted yet.
        """
        if self.is_gone:
            return {t.name: t.start_us(self.last_us) + t.length_us for t in rules.ladder}
        longest = rules.ladder[-1]
        begin_us = longest.start_us(self.last_us) - longest.length_us
        return {timeframe.name: begin_us for timeframe in rules.ladder}


@dataclass(slots=True)
class Recomputed:
    """What an instrument's stored ticks come to."""

    candles: dict[CandleKey, CandleState] = field(default_factory=dict)
    seen: dict[BlockKey, SeenTrades] = field(default_factory=dict)
    instrument: Instrument | None = None


def known_instruments(connection: Connection, shard: int, shards: int) -> list[Known]:
    """Return the instruments of a shard."""
    rows = connection.execute("SELECT instrument, first_time_us FROM first_ticks").fetchall()
    cold = {row[0] for row in connection.execute("SELECT day FROM cold_days").fetchall()}
    found = []
    for name, first_us in rows:
        if shard_of(name, shards) == shard:
            last_us = last_tick_us(connection, name)
            assert last_us is not None
            found.append(Known(name, first_us, last_us, day_of(last_us) in cold))
    return found


def live_part(
    connection: Connection,
    rules: Rules,
    known: Known,
    floors: Mapping[str, int],
    now_us: int,
    cold: Cold,
) -> Recomputed:
    """Return what is live of an instrument, each stored trade once. Raises TransientError."""
    from_us = known.last_us if known.is_gone else min(floors.values())
    chunks = stored_trades(connection, known.name, from_us, known.last_us + 1, cold)
    found = _folded((ticks for chunk in chunks for ticks in chunk), rules, now_us)
    if known.is_gone:
        found.candles.clear()
        found.seen.clear()
    flagged(found.candles, known.first_us, rules.ladder)
    instrument = found.instrument
    assert instrument is not None, "its last tick is stored"
    found.instrument = replace(instrument, first_us=known.first_us, floors=dict(floors))
    return found


def _folded(batches: Iterable[Ticks], rules: Rules, received_us: int) -> Recomputed:
    found = Recomputed()
    for ticks in batches:
        for instrument in instruments_of(ticks, received_us).values():
            found.instrument = instrument.joined(found.instrument)
        blocks = trades_by_block(ticks)
        known = {key: found.seen.get(key) or SeenTrades.none() for key in blocks}
        found.seen.update(unseen(ticks, blocks, known)[1])
        fold(found.candles, [ticks], rules.ladder)
    return found
