"""GET /api/overview: the market at a glance, for lists and cards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import MAX_SYMBOL_CHARACTERS, as_json
from functions.history_query.api.parameters import ParameterError, now_us, read_days
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from functions.history_query.topics.latest import NO_QUOTE, latest_quotes, latest_trades
from shared.market.calendar_timeframes import of_days
from shared.market.decimals import EXACT, to_text
from shared.market.timeframes import Timeframe
from shared.market.trading_days import TradingDays
from shared.market.utc_days import DAY_US
from shared.reading.stored_candles import Ranges, read_candles
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_json import candle_rows

MAX_SYMBOLS: Final = 500
ALL: Final = "all"

_FRESH_S: Final = 1.0
_REST: Final = 4
"""The overview of all instruments is cached for _FRESH_S, or _REST times as long as it took to
compute, if that is longer; so it uses at most a fifth of a core."""

_OWN: Final = spec.queries(
    f"""
    symbols  BTC-USD,ETH-USD  list  Symbols separated by commas, at most {MAX_SYMBOLS}, or `all`.
    symbol   BTC-USD  array  A symbol; repeat the parameter for several. For symbols that contain a
        comma.
    """,
    list={"type": "string", "default": ALL},
    array={"type": "array", "items": {"type": "string"}, "maxItems": MAX_SYMBOLS},
)
_HOUR_US: Final = 3_600_000_000
_RECENT_US: Final = 120_000_000
_ALWAYS: Final = (-(2**63), 2**63 - 1)
_PIECE: Final = "start_us", "revision", "trade_count", "open", "high", "low", "volume", "close"
# By the primary key, since most of the table is candles of other timeframes.
_STORED: Final = sql.SQL("""
SELECT name, found.*
FROM unnest(%(names)s::text[]) AS requested (name) CROSS JOIN LATERAL (
    SELECT {columns} FROM candles
    WHERE instrument = name AND timeframe = %(timeframe)s
      AND start_us >= %(from_us)s AND start_us < %(until_us)s {which}
) AS found
""")
_FOLDS: Final = _STORED.format(
    columns=sql.SQL("""
        (array_agg(open ORDER BY start_us))[1], max(high), min(low), sum(volume),
        string_agg(trim_scale(close)::text, ' ' ORDER BY start_us)"""),
    which=sql.SQL("AND trade_count > 0 HAVING count(*) > 0"),
)
_FIRST: Final = _STORED.format(
    columns=sql.SQL("start_us, -revision, trim_scale(open)::text"),
    which=sql.SQL("AND trade_count > 0 ORDER BY start_us LIMIT 1"),
)

TOPIC: Final = Topic(
    spec.schemas(
        """
        Overview
          symbol        string
          price,size    decimal
          t             ms            Time of the trade, ms since 1970.
          received      ms            When a trade last reached the candles.
          open          decimal|null  First price of the last 24 hours by the clock, the current
            one included: 23 to 24 hours; null without trades since.
          session_open  decimal|null  First price of the UTC day, or of the current session.
          high          decimal|null  Highest price since then.
          low           decimal|null  Lowest price since then.
          volume        decimal       Volume since then.
          change        number|null   Change against `open` in percent.
          spread        decimal|null  Ask minus bid of the latest quote.
          points        [decimal]     Closes of the hours since then (or of the longest stored
            timeframe up to one hour), ascending.
          candle        Candle|null   The newest base candle; null if it is long past.
        """
    ),
    _OWN,
)


@TOPIC.get(
    "/api/overview",
    "Each instrument's last trade, its last 24 hours and its newest candle.",
    "[Overview]",
    "symbols symbol session calendar tz",
)
def _overview(readers: Readers, request: Request) -> Response:
    overview = Overview(readers.postgres, readers.live)
    symbols, days = _symbols(request), read_days(request.query_params)
    if symbols is not None or days is not None:
        return as_json(overview.of(symbols, now_us(), days))
    cached = readers.overview
    with cached.lock:
        started_s = time.monotonic()
        if started_s > cached.fresh_until_s:
            cached.body = bytes(as_json(overview.of(None, now_us())).body)
            took_s = time.monotonic() - started_s
            cached.fresh_until_s = started_s + took_s + max(_FRESH_S, _REST * took_s)
        return Response(cached.body, media_type="application/json")


def _symbols(request: Request) -> list[str] | None:
    """Return the requested symbols; None: all. Raises ParameterError."""
    text = request.query_params.get("symbols")
    repeated = request.query_params.getlist("symbol")
    if (text is None and not repeated) or (text == ALL and not repeated):
        return None
    symbols = [*dict.fromkeys([*filter(None, (text or "").split(",")), *repeated])]
    if not symbols or len(symbols) > MAX_SYMBOLS:
        raise ParameterError(f"symbols: 1 to {MAX_SYMBOLS} of them, or `all`")
    for each in symbols:
        if not 1 <= len(each) <= MAX_SYMBOL_CHARACTERS or not each.isprintable():
            raise ParameterError(f"symbols: each has 1 to {MAX_SYMBOL_CHARACTERS} characters")
    return symbols


@dataclass(slots=True)
class _Day:
    """The fold of an instrument's pieces; `points`: their closes."""

    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal = Decimal(0)
    points: list[str] = field(default_factory=list)

    def add(self, high: Decimal, low: Decimal, volume: Decimal, close: str) -> None:
        """Fold in the next piece."""
        self.high, self.low = max(self.high, high), min(self.low, low)
        self.volume = EXACT.add(self.volume, volume)
        self.points.append(close)


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads overviews in one pass over both stores. Raises TransientError while one is away."""

    postgres: Postgres
    live: LiveState

    def of(
        self, symbols: Sequence[str] | None, now_us: int, days: TradingDays | None = None
    ) -> list[dict[str, Any]]:
        """Return the overview of the known ones of these symbols, or of all, sorted by symbol.

        `days`: trading days of `session_open`; None: UTC.
        """
        trades = latest_trades(self.live, symbols)
        names = sorted(trades)
        requested = None if symbols is None else names
        newest = self._newest(names, requested, now_us)
        folds = self._days(names, requested, now_us)
        quotes = latest_quotes(self.postgres, symbols)
        opens = self._opens(names, requested, of_days("1d", days), now_us)
        return [
            {
                **_row(trades[name], folds.get(name), newest.get(name)),
                "spread": quotes.get(name, NO_QUOTE)["spread"],
                "session_open": opens[name][-1] if name in opens else None,
            }
            for name in names
        ]

    def _newest(
        self, names: Sequence[str], requested: Sequence[str] | None, now_us: int
    ) -> dict[str, dict[str, Any]]:
        """Return each instrument's newest live base candle; few have none of the last minutes."""
        base = self.live.ladder[0]
        recent = self._live(requested, base, now_us - _RECENT_US)
        quiet = sorted({*names}.difference(recent.names))
        newest: dict[str, dict[str, Any]] = {}
        for part in (recent, self.live.candles_of(quiet, base, *_ALWAYS, 1, newest=True)):
            # By name and time, so that the last row of each name counts.
            last = dict(zip(part.names, range(len(part)), strict=True))
            rows = part.at(np.array(list(last.values()), dtype=np.intp))
            newest |= zip(rows.names, candle_rows(rows.as_lists()), strict=True)
        return newest

    def _opens(
        self, names: Sequence[str], requested: Sequence[str] | None, day: Timeframe, now_us: int
    ) -> dict[str, tuple[int, int, str]]:
        """Return the first price of the current session, after its candle's start and revision."""
        from_us = day.start_us(now_us)
        ladder = self.live.ladder
        piece = [ladder[0], *(each for each in ladder if each.start_us(from_us) == from_us)][-1]
        stored = self._stored(_FIRST, names, piece, from_us)
        opens = {name: (start_us, order, price) for name, start_us, order, price in stored}
        live = self._live(requested, piece, from_us).as_lists(("open",))
        fields = "instrument", "start_us", "revision", "open", "trade_count"
        for name, start_us, revision, price, trades in zip(
            *(live[each] for each in fields), strict=True
        ):
            if trades:
                first = start_us, -revision, price
                opens[name] = min(opens.get(name, first), first)
        return opens

    def _days(
        self, names: Sequence[str], requested: Sequence[str] | None, now_us: int
    ) -> dict[str, _Day]:
        """Return the last 24 hours from stored pieces, replaced by live ones where newer.

        Pieces are of the longest kept timeframe up to an hour.
        """
        ladder = self.live.ladder
        piece = [ladder[0], *(each for each in ladder if each.length_us <= _HOUR_US)][-1]
        from_us = piece.start_us(now_us - DAY_US + piece.length_us - 1)
        live = self._live(requested, piece, from_us)
        until_us = int(live.start_us.min()) if len(live) else _ALWAYS[1]
        days = {
            name: _Day(open_, high, low, volume, closes.split())
            for name, open_, high, low, volume, closes in self._stored(
                _FOLDS, names, piece, from_us, until_us
            )
        }
        known = sorted({*names, *live.names})
        ranges = Ranges.same(piece.name, known, until_us, _ALWAYS[1])
        with self.postgres.connection() as connection:
            pieces = read_candles(connection, ranges, live, _PIECE).candles.traded.columns
        numbers = (map(Decimal, pieces[each]) for each in ("open", "high", "low", "volume"))
        for number, open_, *values in zip(pieces["number"], *numbers, pieces["close"], strict=True):
            days.setdefault(known[number], _Day(open_, *values[:2])).add(*values)
        return days

    def _stored(
        self,
        statement: sql.Composed,
        names: Sequence[str],
        timeframe: Timeframe,
        from_us: int,
        until_us: int = _ALWAYS[1],
    ) -> list[tuple[Any, ...]]:
        bounds = {"from_us": from_us, "until_us": until_us}
        parameters = {"names": list(names), "timeframe": timeframe.name, **bounds}
        with self.postgres.connection() as connection:
            return connection.execute(statement, parameters).fetchall()

    def _live(
        self, symbols: Sequence[str] | None, timeframe: Timeframe, from_us: int
    ) -> CandleColumns:
        if symbols is None:
            return self.live.all_candles(timeframe, from_us)
        return self.live.candles_of(symbols, timeframe, from_us, _ALWAYS[1])


def _row(trade: dict[str, Any], day: _Day | None, newest: dict[str, Any] | None) -> dict[str, Any]:
    return {
        **trade,
        "open": to_text(day.open) if day else None,
        "high": to_text(day.high) if day else None,
        "low": to_text(day.low) if day else None,
        "volume": to_text(day.volume) if day else "0",
        "change": _percent(Decimal(trade["price"]), day.open) if day else None,
        "points": day.points if day else [],
        "candle": newest,
    }


def _percent(now: Decimal, before: Decimal) -> float | None:
    """Return the change in percent; None without a ratio (`before` is zero or negative)."""
    if before <= 0:
        return None
    return round(float((now / before - 1) * 100), 4)
