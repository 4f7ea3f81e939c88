"""Shorter candles, or pieces of candles, folded into whole ones in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from shared.market.decimals import EXACT
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle

T = TypeVar("T")


def joined(earlier: Candle, later: Candle) -> Candle:
    """Join two candles whose times do not overlap; name and start are those of `earlier`.

    It is closed and complete if both are, partial or of the venue if one is, with the higher
    revision.
    """
    return replace(
        earlier,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=EXACT.add(earlier.volume, later.volume),
        notional=EXACT.add(earlier.notional, later.notional),
        trade_count=earlier.trade_count + later.trade_count,
        buy_volume=EXACT.add(earlier.buy_volume, later.buy_volume),
        sell_volume=EXACT.add(earlier.sell_volume, later.sell_volume),
        last_time_us=later.last_time_us,
        closed=earlier.closed and later.closed,
        partial=earlier.partial or later.partial,
        complete=earlier.complete and later.complete,
        revision=max(earlier.revision, later.revision),
        origin=max(earlier.origin, later.origin),
    )


def folded(
    batches: Iterable[Iterable[Candle]],
    timeframe: Timeframe,
    limit: int,
    packed: Callable[[Candle], T],
    *,
    newest: bool,
    max_batches: int,
) -> tuple[list[T], bool]:
    """Return up to `limit` whole candles in reading order, and whether there may be more.

    Each is held as what `packed` makes of it. `batches` hold the parts ascending by time, or
    descending if `newest`; parts in no interval are ignored. A candle is whole once a part of the
    next one is read, or there are no more parts. After `max_batches` batches the candles that are
    whole by then are returned; the growing one is left to the next page.
    """
    whole: list[T] = []
    growing: Candle | None = None
    end_us = 0
    for number, batch in enumerate(batches, 1):
        for part in batch:
            if not timeframe.holds(part.start_us):
                continue
            if growing is not None and growing.start_us <= part.start_us < end_us:
                piece = replace(part, timeframe=timeframe.name, start_us=growing.start_us)
                growing = joined(piece, growing) if newest else joined(growing, piece)
                continue
            if growing is not None:
                whole.append(packed(growing))
                if len(whole) == limit:
                    return whole, True
            start_us = timeframe.start_us(part.start_us)
            growing = replace(part, timeframe=timeframe.name, start_us=start_us)
            end_us = timeframe.end_us(start_us)
        if number >= max_batches and whole:
            return whole, True
    if growing is not None:
        whole.append(packed(growing))
    return whole, False
