"""GET /api/ticks: raw ticks, each trade once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import TickPlace
from functions.history_query.api.formats import BINARY, TABLES, Content
from functions.history_query.api.parameters import ParameterError, TickPage, read_raw_ticks
from functions.history_query.api.presentation import Presentation
from functions.history_query.api.streaming import FORMATS, is_whole_range, streamed
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from functions.history_query.queries.tick_slices import TickPages
from shared.candles.trades import NO_ROWS, Trades, trades_of
from shared.errors import TransientError
from shared.market.decimals import mantissa_text
from shared.market.order import OrderKey
from shared.wire.ticks import (
    AUCTION,
    CORRECTED,
    INTEGER_ID,
    ODD_LOT,
    OUT_OF_SEQUENCE,
    TEXT_ID,
    VOLUME_ONLY,
    Mantissas,
)

if TYPE_CHECKING:
    import pyarrow as pa


_STREAMED: Final = (*FORMATS, "arrow")
_NO_TRADES: Final = trades_of(NO_ROWS)
_AT_ONCE: Final = 1_000
"""Ticks that are many objects at once."""

CURSOR: Final = spec.cursor_of(
    TickPlace.of("after", OrderKey(1_764_340_200_000_000, 0, 0, 0, 0)).text()
)
COLUMNS: Final = ("t", "time", "us", "p", "s", "side", "id", "received", "flags", "ended")
_SIDES: Final = np.array([None, "buy", "sell"], dtype=object)
_FLAGS: Final = {
    VOLUME_ONLY: "volume_only",
    ODD_LOT: "odd_lot",
    AUCTION: "auction",
    OUT_OF_SEQUENCE: "out_of_sequence",
    CORRECTED: "corrected",
}

TOPIC: Final = Topic(
    spec.schemas(
        """
        RawTick?
          t         ms
          us        integer   Microseconds since 1970, UTC.
          time      string    Local time, if `tz` is given.
          p         decimal
          s         decimal   Size.
          side      buy|sell|null  Aggressor side.
          id        string?   The trade id.
          received  ms
          flags     string?   Exclusions of the trade, and `corrected` if it replaces another one:
            names separated by blanks.
          ended     integer?  When its cancel or correction was received, ms since 1970; null: it
            counts.
        RawTicks
          symbol    string
          ticks     [RawTick]
          next      string?   Cursor of the next page; null: there are no more.
        """
    ),
)


@TOPIC.get(
    "/api/ticks/{symbol}",
    "Raw ticks, each trade once, ascending in the total order; without `from` the newest.",
    "RawTicks",
    "symbol from to",
    spec.streamed_limit("ndjson, csv or arrow"),
    CURSOR,
    "tz",
    spec.columns_of("us,p,s"),
    spec.format_of(TABLES),
)
def _raw(readers: Readers, request: Request) -> Response:
    symbol, query = request.path_params["symbol"], request.query_params
    presentation, ticks = Presentation.read(request, TABLES, COLUMNS), TickPages(readers.slices)
    is_whole = is_whole_range(query, presentation, _STREAMED)
    page = read_raw_ticks({**query, "limit": "1"} if is_whole else query)
    parts, edge = ticks.page(symbol, page)
    if not parts:
        readers.require(symbol)
    if is_whole:
        return _all(ticks, symbol, page, presentation)
    content = _content({"symbol": symbol}, presentation, parts, page.cursor(edge))
    return presentation.answer(request, content)


def _content(
    envelope: Mapping[str, str],
    presentation: Presentation,
    parts: Sequence[Trades],
    cursor: str | None,
) -> Content:
    names, zone = presentation.names, presentation.zone
    if presentation.format not in BINARY:
        pieces = (
            part.at(slice(first, first + _AT_ONCE))
            for part in parts
            for first in range(0, len(part), _AT_ONCE)
        )
        rows = (row for piece in pieces for row in rows_of(piece, names, zone))
        return Content("ticks", envelope, rows, cursor)
    import pyarrow as pa

    table = pa.concat_tables([table_of(part, names, zone) for part in (parts or [_NO_TRADES])])
    return Content("ticks", envelope, (), cursor, table)


def _all(ticks: TickPages, symbol: str, page: TickPage, presentation: Presentation) -> Response:
    """Stream the whole range."""
    parts = ticks.whole(symbol, page)

    def next_content() -> tuple[Content, bool]:
        nonlocal page, parts
        try:
            part = next(parts, None)
        except TransientError:
            parts = ticks.whole(symbol, page)
            raise
        if part is None:
            return _content({}, presentation, [], None), True
        page = replace(page, place=part.key_at(len(part) - 1))
        return _content({}, presentation, [part], None), False

    return streamed(presentation.format, next_content)


def rows_of(trades: Trades, names: Sequence[str], zone: ZoneInfo | None) -> list[dict[str, Any]]:
    """Return one mapping per trade, decimals as exact text."""
    columns = [_LISTS[name](trades, zone) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def table_of(trades: Trades, names: Sequence[str], zone: ZoneInfo | None) -> pa.Table:
    """Return an Arrow table; decimals are DECIMAL(38, 18). Raises ParameterError: too long."""
    import pyarrow as pa

    rows = trades.rows
    builders: dict[str, Callable[[], Any]] = {
        "t": lambda: pa.array(rows.time_us // 1000).cast(pa.timestamp("ms", "UTC")),
        "us": lambda: pa.array(rows.time_us),
        "p": lambda: _decimals("p", trades.price, trades.price_scale),
        "s": lambda: _decimals("s", trades.size, trades.size_scale),
        "side": lambda: pa.array(_SIDES[1:], pa.string()).take(
            pa.array(rows.side.astype(np.int64) - 1, mask=rows.side == 0)
        ),
        "id": lambda: _ids(trades),
        "received": lambda: pa.array(rows.receive_us // 1000),
        "ended": lambda: pa.array(trades.ended_us // 1000, mask=trades.ended_us < 1000),
    }
    return pa.table(
        {
            name: builders[name]()
            if name in builders
            else pa.array(_LISTS[name](trades, zone), pa.string())
            for name in names
        }
    )


def _decimals(name: str, mantissa: Mantissas, scale: int) -> pa.Array:
    from shared.lake.tables.decimal_columns import to_decimals

    values, texts = to_decimals(mantissa, np.full(len(mantissa), scale, dtype=np.int64))
    if texts.null_count < len(texts):
        raise ParameterError(
            f"format: a value of {name} has more digits than this format holds; ask for json,"
            " or the client for floats=True"
        )
    return values


def _ids(trades: Trades) -> pa.Array:
    import pyarrow as pa

    kind = trades.rows.kind
    if (kind == TEXT_ID).any():
        return pa.array(_id_texts(trades), pa.string())
    return pa.array(trades.rows.trade_id, mask=kind != INTEGER_ID).cast(pa.string())


def _times(trades: Trades, zone: ZoneInfo | None) -> list[str]:
    times = []
    for ms in (trades.rows.time_us // 1000).tolist():
        local = datetime.fromtimestamp(ms // 1000, zone or UTC)
        local = local.replace(microsecond=ms % 1000 * 1000)
        times.append(local.isoformat(timespec="milliseconds"))
    return times


def _id_texts(trades: Trades) -> list[str | None]:
    rows = trades.rows
    if (rows.kind == INTEGER_ID).all():
        return list(map(str, rows.trade_id.tolist()))
    ids: list[str | None] = [None] * len(rows)
    for row in np.flatnonzero(rows.kind == INTEGER_ID).tolist():
        ids[row] = str(int(rows.trade_id[row]))
    for row in np.flatnonzero(rows.kind == TEXT_ID).tolist():
        ids[row] = str(rows.text[row])
    return ids


def _texts(mantissa: Mantissas, scale: int) -> list[str]:
    return [mantissa_text(each, scale) for each in mantissa.tolist()]


@cache
def _flags(bits: int) -> str | None:
    """Return the names of the bits, separated by spaces; None without one."""
    return " ".join(name for bit, name in _FLAGS.items() if bits & bit) or None


_LISTS: Final[Mapping[str, Callable[[Trades, ZoneInfo | None], list[Any]]]] = {
    "t": lambda trades, _: (trades.rows.time_us // 1000).tolist(),
    "us": lambda trades, _: trades.rows.time_us.tolist(),
    "time": _times,
    "p": lambda trades, _: _texts(trades.price, trades.price_scale),
    "s": lambda trades, _: _texts(trades.size, trades.size_scale),
    "side": lambda trades, _: _SIDES[trades.rows.side].tolist(),
    "id": lambda trades, _: _id_texts(trades),
    "received": lambda trades, _: (trades.rows.receive_us // 1000).tolist(),
    "flags": lambda trades, _: [_flags(bits) for bits in trades.rows.flags.tolist()],
    "ended": lambda trades, _: [us // 1000 or None for us in trades.ended_us.tolist()],
}
