"""Candles from stored ticks: the definition itself, each trade once, in the total order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from functions.candle_aggregate.instrument import Instrument, instruments_of
from functions.candle_aggregate.seen import BlockKey, SeenTrades, trades_by_block, unseen
from shared.candle import CandleState
from shared.kernel import CandleKey, partial_candles, rolled_up
from shared.ticks import Ticks
from shared.timeframes import Timeframe


@dataclass(slots=True)
class Recomputed:
    """What stored ticks come to."""

    candles: dict[CandleKey, CandleState] = field(default_factory=dict)
    seen: dict[BlockKey, SeenTrades] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)


def recompute(
    batches: Iterable[Ticks], ladder: tuple[Timeframe, ...], received_us: int
) -> Recomputed:
    """Fold batches, in any order and with repetitions, into candles of every timeframe."""
    found = Recomputed()
    for ticks in batches:
        for name, instrument in instruments_of(ticks, received_us).items():
            found.instruments[name] = instrument.joined(found.instruments.get(name))
        blocks = trades_by_block(ticks)
        known = {key: found.seen.get(key) or SeenTrades.none() for key in blocks}
        keep, grown = unseen(ticks, blocks, known)
        found.seen.update(grown)
        fresh = ticks if keep.all() else ticks.select(keep)
        for key, change in rolled_up(partial_candles(fresh, ladder[0]), ladder).items():
            present = found.candles.get(key)
            found.candles[key] = change if present is None else present.merge(change)
    return found
