"""How the feeds fare: the newest status of each symbol, and whether it is still true."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from shared.feeds import FeedState
from shared.stores.postgres import Postgres

STALE_US: Final = 15_000_000
"""A bridge reports every few seconds; one that has not for so long is down."""

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
        _symbol(row, gaps.get((feed, row["symbol"]), [0, 0, 0]), is_down=_is_down(row, now_us))
        for row in rows
    ]
    return {
        "feed": feed,
        "state": _worst(symbols) if _reports(newest, now_us) else FeedState.DOWN,
        "reported": newest["reported_us"] // 1000,
        "reconnects": newest["reconnects"],
        "skew_ms": None if newest["skew_us"] is None else round(newest["skew_us"] / 1000),
        "error": newest["error"] or None,
        "symbols": symbols,
    }


def _reports(row: dict[str, Any], now_us: int) -> bool:
    return now_us - int(row["reported_us"]) <= STALE_US


def _is_down(row: dict[str, Any], now_us: int) -> bool:
    """Return whether nobody reports any more; of a symbol that was taken out of a feed, too."""
    return row["state"] != FeedState.ENDED and not _reports(row, now_us)


def _symbol(row: dict[str, Any], gaps: list[int], *, is_down: bool) -> dict[str, Any]:
    opened, filled, missing = gaps
    return {
        "symbol": row["symbol"],
        "instrument": row["instrument"],
        "state": FeedState.DOWN if is_down else row["state"],
        "last_message": row["last_message_us"] // 1000 or None,
        "last_trade": row["last_trade_us"] // 1000 or None,
        "last_trade_id": row["last_trade_id"],
        "trades_per_minute": 0 if is_down else row["trades_per_minute"],
        "history": {"done": row["history_done"], "parts": row["history_parts"]},
        "gaps": {"open": opened, "filled": filled, "missing": missing},
    }


def _worst(symbols: list[dict[str, Any]]) -> str:
    """Return the feed's state: a quiet symbol beside a live one makes no quiet feed."""
    states = {each["state"] for each in symbols}
    for state in (
        *(FeedState.RECONNECTING, FeedState.STALLED, FeedState.MAINTENANCE, FeedState.LIVE),
        *(FeedState.QUIET, FeedState.HALTED, FeedState.ENDED),
    ):
        if state in states:
            return state
    return FeedState.QUIET
