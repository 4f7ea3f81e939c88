"""Rejects: counts by reason, and the newest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from functions.history_query.api.parameters import DAY_US, read_limit, read_time_us
from shared.stores.postgres import Postgres

DEFAULT_REJECTS: Final = 100
MOST_COUNTED: Final = 100_000
_EXCERPT_BYTES: Final = 300

_COUNTS: Final = """
SELECT code, regexp_replace(source, '-[^-]*$', '') AS source, count(*) AS rejects,
       max(receive_time_us) / 1000 AS newest
FROM (
    SELECT code, source, receive_time_us FROM rejects WHERE receive_time_us >= %(from_us)s
    ORDER BY receive_time_us DESC LIMIT %(most)s
) AS newest_ones GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
_NEWEST: Final = """
SELECT receive_time_us / 1000 AS received, code, detail, substr(original, 1, %(bytes)s) AS original,
       octet_length(original) AS bytes, source
FROM rejects WHERE receive_time_us >= %(from_us)s
ORDER BY receive_time_us DESC, source DESC, sequence DESC LIMIT %(limit)s
"""


def read_rejects(query: Mapping[str, str], now_us: int | None = None) -> tuple[int, int]:
    """Return the start (us), by default a day ago, and the limit.

    Raises ParameterError.
    """
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    from_us = read_time_us(query, "from", now_us)
    return now_us - DAY_US if from_us is None else from_us, read_limit(query, DEFAULT_REJECTS)


@dataclass(frozen=True, slots=True)
class Rejects:
    """Reads rejects. Raises TransientError while Postgres is away."""

    postgres: Postgres

    def since(self, from_us: int, limit: int) -> dict[str, Any]:
        """Return counts by reason and kind of source, and the newest with the start of their input.

        Only the newest MOST_COUNTED are counted.
        """
        parameters = {
            "from_us": from_us,
            "limit": limit,
            "most": MOST_COUNTED,
            "bytes": _EXCERPT_BYTES,
        }
        with (
            self.postgres.connection() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            counts = cursor.execute(_COUNTS, parameters).fetchall()
            newest = cursor.execute(_NEWEST, parameters).fetchall()
        return {
            "from": from_us // 1000,
            "counts": counts,
            "rejects": [
                {**each, "original": bytes(each["original"]).decode("utf-8", "backslashreplace")}
                for each in newest
            ],
        }
