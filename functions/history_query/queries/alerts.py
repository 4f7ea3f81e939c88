"""Pages of published alerts from Postgres, newest first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.history_query.api.cursors import MomentCursor
from functions.history_query.api.parameters import (
    ParameterError,
    read_limit,
    read_moment,
    read_range,
)
from shared.stores.postgres import Postgres

DEFAULT_ALERTS: Final = 100
MAX_ID_CHARACTERS: Final = 64

_SELECT: Final = """
SELECT body -> 'data', start_us, rule_id FROM alerts
WHERE (%(symbol)s::text IS NULL OR instrument = %(symbol)s)
  AND (%(rule)s::text IS NULL OR rule_id = %(rule)s)
  AND start_us >= %(from_us)s AND start_us < %(to_us)s
  AND (start_us, rule_id) < (%(before_us)s, %(before_id)s)
ORDER BY start_us DESC, rule_id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Page of alerts: of candles that start in [from_us, to_us), before the cursor.

    `rule`: id of a rule, to get only its alerts.
    """

    from_us: int
    to_us: int
    limit: int
    before: MomentCursor
    rule: str | None = None


def read_alerts(query: Mapping[str, str], now_us: int | None = None) -> AlertPage:
    """Read the parameters. Raises ParameterError."""
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    from_us, to_us = read_range(query, now_us)
    return AlertPage(
        from_us or 0,
        to_us,
        read_limit(query, DEFAULT_ALERTS),
        read_moment(query),
        read_rule(query),
    )


def read_rule(query: Mapping[str, str]) -> str | None:
    """Read the id of a rule. Raises ParameterError."""
    rule = query.get("rule")
    if rule is not None and not (1 <= len(rule) <= MAX_ID_CHARACTERS and rule.isprintable()):
        raise ParameterError(f"rule: the id of one, of 1 to {MAX_ID_CHARACTERS} characters")
    return rule


@dataclass(frozen=True, slots=True)
class AlertPages:
    """Reads pages. Raises TransientError while Postgres is away."""

    postgres: Postgres

    def page(self, symbol: str | None, page: AlertPage) -> tuple[list[dict[str, Any]], str | None]:
        """Return alerts of one symbol or all, newest first; a cursor if there are older ones.

        An alert has its rule and the value that made it true, but not its sink.
        """
        parameters = {
            "symbol": symbol,
            "rule": page.rule,
            "from_us": page.from_us,
            "to_us": page.to_us,
            "before_us": page.before.time_us,
            "before_id": page.before.id,
            "limit": page.limit + 1,
        }
        with self.postgres.connection() as connection:
            rows = connection.execute(_SELECT, parameters).fetchall()
        page_rows = rows[: page.limit]
        has_more = len(rows) > page.limit
        next_cursor = MomentCursor(*page_rows[-1][1:]).text() if has_more else None
        return [data for data, *_ in page_rows], next_cursor
