"""Status of feeds: the newest report of each symbol, and whether it is stale."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from shared.stores.postgres import Postgres
from shared.wire.feed_status import FeedState, feed_state, symbol_state

_GAPS: Final = """
    SELECT feed, symbol,
        count(*) FILTER (WHERE state = 'open') AS open,
        count(*) FILTER (WHERE state = 'filled') AS filled,
        coalesce(sum(last_id - first_id + 1)
            FILTER (WHERE state = 'open' AND NOT by_time), 0)::bigint AS missing
    FROM gaps GROUP BY feed, symbol
"""


@dataclass(frozen=True, slots=True)
class Feeds:
    """Reads the feeds. Raises TransientError while Postgres is away."""

    postgres: Postgres

    def all(self, now_us: int | None = None) -> list[dict[str, Any]]:
        """Return every feed with its symbols, both by name."""
        now_us = time.time_ns() // 1000 if now_us is None else now_us
        with self.postgres.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            rows = cursor.execute("SELECT * FROM feeds ORDER BY feed, symbol").fetchall()
            gaps = {
                (feed, symbol): counts
                for feed, symbol, *counts in connection.execute(_GAPS).fetchall()
            }
        by_feed: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_feed[row["feed"]].append(row)
        return [_feed(feed, of_feed, gaps, now_us) for feed, of_feed in by_feed.items()]


def _feed(
    feed: str, rows: list[dict[str, Any]], gaps: dict[tuple[str, str], list[int]], now_us: int
) -> dict[str, Any]:
    newest = max(rows, key=lambda row: row["reported_us"])
    symbols = [
        _symbol(
            row,
            gaps.get((feed, row["symbol"]), [0, 0, 0]),
            symbol_state(row["state"], row["reported_us"], now_us),
        )
        for row in rows
    ]
    return {
        "feed": feed,
        "state": feed_state([(row["state"], row["reported_us"]) for row in rows], now_us),
        "reported": newest["reported_us"] // 1000,
        "reconnects": newest["reconnects"],
        "skew_ms": None if newest["skew_us"] is None else round(newest["skew_us"] / 1000),
        "error": newest["error"] or None,
        "symbols": symbols,
    }


def _symbol(row: dict[str, Any], gaps: list[int], state: FeedState) -> dict[str, Any]:
    opened, filled, missing = gaps
    return {
        "symbol": row["symbol"],
        "instrument": row["instrument"],
        "state": state,
        "last_message": row["last_message_us"] // 1000 or None,
        "last_trade": row["last_trade_us"] // 1000 or None,
        "last_trade_id": row["last_trade_id"],
        "trades_per_minute": 0 if state is FeedState.DOWN else row["trades_per_minute"],
        "history": {"done": row["history_done"], "parts": row["history_parts"]},
        "gaps": {"open": opened, "filled": filled, "missing": missing},
    }
