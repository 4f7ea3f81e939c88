"""GET /api/ticks: raw ticks, each trade once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import TickPlace
from functions.history_query.api.endpoints import Handlers, unknown
from functions.history_query.api.formats import BINARY, TABLES, Content
from functions.history_query.api.parameters import TickPage, read_raw_ticks
from functions.history_query.api.presentation import Presentation
from functions.history_query.api.streaming import FORMATS, StreamBody, asks_for_all, streamed_bodies
from functions.history_query.queries.tick_columns import (
    COLUMNS,
    displayed_columns,
    rows_of,
    table_of,
)
from functions.history_query.queries.ticks import TickPages
from shared.candles.trades import NO_ROWS, Trades, trades_of
from shared.errors import TransientError
from shared.market.order import OrderKey

_STREAMED: Final = (*FORMATS, "arrow")
_NO_TRADES: Final = trades_of(NO_ROWS)

_CURSOR: Final = spec.cursor_of(
    TickPlace.of("after", OrderKey(1_764_340_200_000_000, 0, 0, 0, 0)).text()
)

PART: Final = spec.Part(
    {
        "/api/ticks/{symbol}": spec.get(
            "Raw ticks, each trade once, ascending in the total order; without `from` the newest.",
            spec.ref("RawTicks"),
            "symbol from to",
            spec.streamed_limit("ndjson, csv or arrow"),
            _CURSOR,
            "tz",
            spec.columns_of("us,p,s"),
            spec.format_of(TABLES),
            refusals=spec.STORES,
            headers=spec.PAGE_HEADERS,
        ),
    },
    {
        "RawTick": spec.object_of(
            {
                "t": spec.MS,
                "us": spec.INTEGER("Microseconds since 1970, UTC."),
                "time": spec.NAME("Local time, if `tz` is given."),
                "p": spec.DECIMAL,
                "s": spec.DECIMAL("Size."),
                "side": {"enum": ["buy", "sell", None], "description": "Aggressor side."},
                "id": spec.NAME("The trade id.", null=True),
                "received": spec.MS,
                "flags": spec.NAME(
                    "Exclusions of the trade, and `corrected` if it replaces another one: names"
                    " separated by blanks.",
                    null=True,
                ),
                "ended": spec.INTEGER(
                    "When its cancel or correction was received, ms since 1970; null: it counts.",
                    null=True,
                ),
            },
            required=[],
        ),
        "RawTicks": spec.object_of(
            {
                "symbol": spec.NAME,
                "ticks": spec.list_of("RawTick"),
                "next": spec.NAME("Cursor of the next page; null: there are no more.", null=True),
            }
        ),
    },
)


def handlers(ticks: TickPages, knows: Callable[[str], bool]) -> Handlers:
    """Return the handlers of the routes."""

    def raw(request: Request) -> Response:
        symbol, query = request.path_params["symbol"], request.query_params
        presentation = Presentation.read(request, TABLES, COLUMNS)
        names = displayed_columns(presentation.columns, presentation.zone)
        if asks_for_all(query, presentation, _STREAMED):
            page = read_raw_ticks({**query, "limit": "1"})
            if not ticks.page(symbol, page)[0] and not knows(symbol):
                return unknown(symbol)
            return _all(ticks, symbol, page, presentation, names)
        page = read_raw_ticks(query)
        parts, edge = ticks.page(symbol, page)
        if not parts and not knows(symbol):
            return unknown(symbol)
        cursor = None
        if edge is not None:
            cursor = TickPlace.of("before" if page.newest else "after", edge).text()
        envelope = {"symbol": symbol}
        return presentation.answer(request, _content(envelope, presentation, names, parts, cursor))

    return {"/api/ticks/{symbol}": raw}


def _content(
    envelope: Mapping[str, str],
    presentation: Presentation,
    names: Sequence[str],
    parts: Sequence[Trades],
    cursor: str | None,
) -> Content:
    zone, texts = presentation.zone, frozenset[str]()
    if presentation.format not in BINARY:
        rows = [row for part in parts for row in rows_of(part, names, zone)]
        return Content("ticks", envelope, rows, cursor, texts)
    import pyarrow as pa

    table = pa.concat_tables([table_of(part, names, zone) for part in (parts or [_NO_TRADES])])
    return Content("ticks", envelope, (), cursor, texts, table)


def _all(
    ticks: TickPages,
    symbol: str,
    page: TickPage,
    presentation: Presentation,
    names: Sequence[str],
) -> Response:
    """Stream the whole range."""
    body = StreamBody(presentation.format)
    parts = ticks.whole(symbol, page)

    def following() -> tuple[bytes, bool]:
        nonlocal page, parts
        try:
            part = next(parts, None)
        except TransientError:
            parts = ticks.whole(symbol, page)
            raise
        batch = [] if part is None else [part]
        if part is not None:
            page = replace(page, after=part.key_at(len(part) - 1))
        return body(
            _content({}, presentation, names, batch, None), is_last=part is None
        ), part is not None

    return streamed_bodies(presentation.format, following(), following)
