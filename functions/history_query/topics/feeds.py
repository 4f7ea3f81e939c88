"""GET /api/feeds: the status of each exchange feed."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from psycopg.rows import dict_row
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.parameters import now_us
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.wire.feed_status import FeedState, feed_state, symbol_state

_FEEDS: Final = """
    SELECT feeds.*, coalesce(open, 0) AS open, coalesce(filled, 0) AS filled,
        coalesce(missing, 0)::bigint AS missing
    FROM feeds LEFT JOIN (
        SELECT feed, symbol,
            count(*) FILTER (WHERE state = 'open') AS open,
            count(*) FILTER (WHERE state = 'filled') AS filled,
            sum(last_id - first_id + 1) FILTER (WHERE state = 'open' AND NOT by_time) AS missing
        FROM gaps GROUP BY feed, symbol
    ) AS counts USING (feed, symbol)
    ORDER BY feed, symbol
"""


_STATE: Final[dict[str, Any]] = {
    "enum": [str(state) for state in FeedState],
    "description": "quiet: connected, but no message of this symbol for a while. stalled:"
    " connected, but nothing arrives where it must. down: the bridge does not"
    " report. ended: delisted or renamed. halted: trading is suspended."
    " maintenance: the exchange is closed.",
}
_PARTS: Final = spec.schemas(
    """
    history
      done     count  Parts of the history that were fetched.
      parts    count
    gaps
      open,filled  count
      missing  count  Trades missing in open gaps.
    """
)

TOPIC: Final = Topic(
    spec.schemas(
        """
        Feed
          feed        string
          state       state
          reported    ms
          reconnects  count
          skew_ms     integer?  Clock skew, estimated: the exchange's clock minus the bridge's.
          error       string?   The current error.
          symbols     [FeedSymbol]
        FeedSymbol
          symbol      string    Symbol as the exchange writes it.
          instrument  string
          state       state
          last_message,last_trade  ms?
          last_trade_id  integer?
          trades_per_minute  count
          history     history
          gaps        gaps
        """,
        state=_STATE,
        **_PARTS,
    ),
)


@TOPIC.get(
    "/api/feeds",
    "The exchange feeds and their symbols: state, last message and trade, gaps.",
    "[Feed]",
)
def _every(readers: Readers, _: Request) -> Response:
    """Return every feed with its symbols, both by name."""
    with readers.postgres.connection() as connection:
        rows = connection.cursor(row_factory=dict_row).execute(_FEEDS).fetchall()
    by_feed = groupby(rows, itemgetter("feed"))
    return as_json([_feed(feed, list(part), now_us()) for feed, part in by_feed])


def _feed(feed: str, rows: list[dict[str, Any]], now_us: int) -> dict[str, Any]:
    newest = max(rows, key=lambda row: row["reported_us"])
    return {
        "feed": feed,
        "state": feed_state([(row["state"], row["reported_us"]) for row in rows], now_us),
        "reported": newest["reported_us"] // 1000,
        "reconnects": newest["reconnects"],
        "skew_ms": None if newest["skew_us"] is None else round(newest["skew_us"] / 1000),
        "error": newest["error"] or None,
        "symbols": [_symbol(row, now_us) for row in rows if row["symbol"]],
    }


def _symbol(row: dict[str, Any], now_us: int) -> dict[str, Any]:
    state = symbol_state(row["state"], row["reported_us"], now_us)
    return {
        "symbol": row["symbol"],
        "instrument": row["instrument"],
        "state": state,
        "last_message": row["last_message_us"] // 1000 or None,
        "last_trade": row["last_trade_us"] // 1000 or None,
        "last_trade_id": row["last_trade_id"],
        "trades_per_minute": 0 if state is FeedState.DOWN else row["trades_per_minute"],
        "history": {"done": row["history_done"], "parts": row["history_parts"]},
        "gaps": {name: row[name] for name in ("open", "filled", "missing")},
    }
