"""GET /api/history and /prices/.../history: pages of prices, the newest ticks first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.cursors import TickCursor
from functions.history_query.api.parameters import (
    DEFAULT_PRICES,
    MAX_LIMIT,
    TickPage,
    read_ticks,
)
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from functions.history_query.queries.tick_slices import TickPages
from shared.candles.trades import Trades
from shared.market.decimals import mantissa_text
from shared.market.utc_days import DAY_US
from shared.wire.ticks import VOLUME_ONLY

_FORM: Final = '{"t":%d,"%s":%s}'

_HEADERS: Final[spec.Json] = {
    "X-Kandle-Limit": {"description": "The limit applied.", "schema": {"type": "integer"}},
    "X-Kandle-Truncated": {
        "description": "The range has older ones: see Link.",
        "schema": {"const": "true"},
    },
    "Link": {
        "description": 'The next page, of older ones, with `rel="next"`.',
        "schema": {"type": "string"},
    },
}

_CURSOR: Final = spec.cursor_of(TickCursor(1_764_340_200_000_000, 0, 0, 0, 0).text())

TOPIC: Final = Topic(
    spec.schemas(
        """
        Tick
          t      ms
          p      exact
        PastPrice
          t      ms
          price  exact
        """
    ),
)


@TOPIC.get(
    "/api/history/{symbol}",
    "The newest prices of the last 24 hours, or of a range, ascending by time; a page of"
    " ticks, without those that count for volume only.",
    "[Tick]",
    "symbol from to",
    spec.limit(10_000),
    _CURSOR,
    headers=_HEADERS,
)
def _history(readers: Readers, request: Request) -> Response:
    page = read_ticks(request.query_params, DAY_US, MAX_LIMIT)
    return _price_page(readers, request, page, "p", oldest_first=True)


@TOPIC.get(
    "/prices/{symbol}/history",
    "The newest prices of an instrument, newest first; a page of ticks, without those that"
    " count for volume only.",
    "[PastPrice]",
    "symbol from to",
    spec.limit(100),
    _CURSOR,
    headers=_HEADERS,
)
def _price_history(readers: Readers, request: Request) -> Response:
    page = read_ticks(request.query_params, None, DEFAULT_PRICES)
    return _price_page(readers, request, page, "price", oldest_first=False)


def _price_page(
    readers: Readers, request: Request, page: TickPage, name: str, *, oldest_first: bool
) -> Response:
    symbol = request.path_params["symbol"]
    parts, edge = TickPages(readers.slices, ended=False).page(symbol, page)
    if not parts:
        readers.require(symbol)
    prices = [price for part in parts for price in _prices(part, name)]
    if not oldest_first:
        prices.reverse()
    headers = {"x-kandle-limit": str(page.limit)}
    if edge is not None:
        headers["x-kandle-truncated"] = "true"
        headers["link"] = f'<{_next(request, page, TickCursor(*edge).text())}>; rel="next"'
    return Response(f"[{','.join(prices)}]", headers=headers, media_type="application/json")


def _prices(trades: Trades, name: str) -> Iterator[str]:
    """Yield times in ms and exact decimals as JSON numbers, without rounding through float.

    A trade that counts for volume only is no price, in the history as in candles.
    """
    priced = np.flatnonzero((trades.rows.flags & VOLUME_ONLY) == 0)
    times = (trades.rows.time_us[priced] // 1000).tolist()
    for time_ms, mantissa in zip(times, trades.price[priced].tolist(), strict=True):
        yield _FORM % (time_ms, name, mantissa_text(mantissa, trades.price_scale))


def _next(request: Request, page: TickPage, cursor: str) -> str:
    """Return the URL of the next page, with a fixed `from`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=page.from_us)
    query = {"from": moment.isoformat(), "limit": str(page.limit), "cursor": cursor}
    return f"{quote(request.scope['path'], safe='/:')}?{urlencode(query)}"
