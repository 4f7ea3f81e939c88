"""Market overview: last trade, last 24 hours and newest candle of each instrument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from functions.history_query.queries.latest import LatestTrades
from functions.history_query.queries.latest_quotes import NO_QUOTE, LatestQuotes
from shared.market.calendar_timeframes import of_days
from shared.market.decimals import EXACT, to_text
from shared.market.timeframes import Timeframe
from shared.market.trading_days import TradingDays
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle import Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_json import candle_json

DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000
_ALWAYS: Final = (-(2**63), 2**63 - 1)

_STORED: Final = """
SELECT instrument, start_us, revision, open, high, low, close, volume
FROM candles
WHERE timeframe = %(timeframe)s AND start_us >= %(from_us)s
  AND (%(names)s::text[] IS NULL OR instrument = ANY(%(names)s))
ORDER BY instrument, start_us
"""

_FIRST: Final = """
SELECT DISTINCT ON (instrument) instrument, start_us, open
FROM candles
WHERE timeframe = %(timeframe)s AND start_us >= %(from_us)s
  AND (%(names)s::text[] IS NULL OR instrument = ANY(%(names)s))
ORDER BY instrument, start_us
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    revision: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads overviews in one pass over both stores. Raises TransientError while one is away."""

    postgres: Postgres
    live: LiveState
    latest: LatestTrades
    quotes: LatestQuotes

    def of(
        self, symbols: Sequence[str] | None, now_us: int, days: TradingDays | None = None
    ) -> list[dict[str, Any]]:
        """Return the overview of the symbols that are known, or of all, by symbol.

        `days`: whose session's open counts; None: the UTC day.
        """
        trades = (
            {trade["symbol"]: trade for trade in self.latest.all()}
            if symbols is None
            else {s: trade for s in symbols if (trade := self.latest.one(s)) is not None}
        )
        piece = self._piece
        from_us = piece.start_us(now_us - DAY_US + piece.length_us - 1)
        pieces = self._stored(symbols, piece, from_us)
        wanted = None if symbols is None else list(trades)
        newest = {
            candle.instrument: candle
            for part in self._live(wanted, self.live.ladder[0])
            for candle in _newest(part).candles()
        }
        for candle in self._candles(wanted, piece):
            if candle.start_us >= from_us:
                _take(pieces, candle)
        quotes = self.quotes.all() if symbols is None else self.quotes.some(symbols)
        opens = self._opens(symbols, wanted, of_days("1d", days), now_us)
        return [
            {
                **_shown(trades[name], pieces.get(name, {}), newest.get(name)),
                "spread": quotes.get(name, NO_QUOTE)["spread"],
                "session_open": to_text(opens[name][1]) if name in opens else None,
            }
            for name in sorted(trades)
        ]

    def _opens(
        self,
        symbols: Sequence[str] | None,
        wanted: Sequence[str] | None,
        day: Timeframe,
        now_us: int,
    ) -> dict[str, tuple[int, Decimal]]:
        """Return the first price of the session that goes on, with its candle's start."""
        from_us = day.start_us(now_us)
        piece = max(
            (each for each in self.live.ladder if each.start_us(from_us) == from_us),
            key=lambda each: each.length_us,
            default=self.live.ladder[0],
        )
        asked = {
            "timeframe": piece.name,
            "from_us": from_us,
            "names": None if symbols is None else list(symbols),
        }
        with self.postgres.connection() as connection:
            found = {
                name: (start_us, price)
                for name, start_us, price in connection.execute(_FIRST, asked).fetchall()
            }
        for candle in self._candles(wanted, piece):
            known = found.get(candle.instrument)
            if candle.start_us >= from_us and (known is None or candle.start_us < known[0]):
                found[candle.instrument] = (candle.start_us, candle.open)
        return found

    @property
    def _piece(self) -> Timeframe:
        """The longest kept timeframe up to an hour: what a day is put together from."""
        return max(
            (each for each in self.live.ladder if each.length_us <= _HOUR_US),
            default=self.live.ladder[0],
        )

    def _stored(
        self, symbols: Sequence[str] | None, piece: Timeframe, from_us: int
    ) -> dict[str, dict[int, _Piece]]:
        asked = {
            "timeframe": piece.name,
            "from_us": from_us,
            "names": None if symbols is None else list(symbols),
        }
        found: dict[str, dict[int, _Piece]] = {}
        with self.postgres.connection() as connection:
            for name, start_us, *rest in connection.execute(_STORED, asked):
                found.setdefault(name, {})[start_us] = _Piece(*rest)
        return found

    def _candles(self, symbols: Sequence[str] | None, timeframe: Timeframe) -> Iterator[Candle]:
        """Yield the live candles of a timeframe."""
        for part in self._live(symbols, timeframe):
            yield from part.candles()

    def _live(self, symbols: Sequence[str] | None, timeframe: Timeframe) -> list[CandleColumns]:
        if symbols is None:
            return [self.live.all_candles(timeframe)]
        return [self.live.candles(symbol, timeframe, *_ALWAYS) for symbol in symbols]


def _newest(part: CandleColumns) -> CandleColumns:
    """Return each instrument's newest candle."""
    ascending = np.argsort(part.start_us, kind="stable").tolist()
    rows = {part.names[row]: row for row in ascending}
    return part.at(np.array(list(rows.values()), dtype=np.intp))


def _take(pieces: dict[str, dict[int, _Piece]], candle: Candle) -> None:
    known = pieces.setdefault(candle.instrument, {}).get(candle.start_us)
    if known is None or candle.revision > known.revision:
        pieces[candle.instrument][candle.start_us] = _Piece(
            *(candle.revision, candle.open, candle.high, candle.low, candle.close, candle.volume)
        )


def _shown(
    trade: dict[str, Any], pieces: dict[int, _Piece], newest: Candle | None
) -> dict[str, Any]:
    ordered = [pieces[start] for start in sorted(pieces)]
    volume = Decimal(0)
    for each in ordered:
        volume = EXACT.add(volume, each.volume)
    return {
        **trade,
        "open": to_text(ordered[0].open) if ordered else None,
        "high": to_text(max(each.high for each in ordered)) if ordered else None,
        "low": to_text(min(each.low for each in ordered)) if ordered else None,
        "volume": to_text(volume),
        "change": _percent(Decimal(trade["price"]), ordered[0].open) if ordered else None,
        "points": [to_text(each.close) for each in ordered],
        "candle": None if newest is None else candle_json(newest),
    }


def _percent(now: Decimal, before: Decimal) -> float | None:
    """Return the change in percent; None where there is no ratio (a price of zero or below)."""
    if before <= 0:
        return None
    return round(float((now / before - 1) * 100), 4)
