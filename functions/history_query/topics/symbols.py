"""GET /api/symbols: the list of instruments."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import as_json
from functions.history_query.api.topic import Topic
from functions.history_query.queries.readers import Readers
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres

# By the primary key (name by name, then each name's candles), since most of the table is candles of
# other timeframes. A live candle is newer than its stored version.
EXTENTS: Final = """
WITH RECURSIVE names AS (
    (SELECT instrument FROM candles ORDER BY instrument LIMIT 1)
    UNION ALL
    SELECT further.instrument FROM names, LATERAL (
        SELECT instrument FROM candles WHERE instrument > names.instrument
        ORDER BY instrument LIMIT 1
    ) AS further
)
SELECT names.instrument, found.* FROM names CROSS JOIN LATERAL (
    SELECT min(first_time_us), max(last_time_us), sum(trade_count)::bigint FROM candles
    WHERE instrument = names.instrument AND timeframe = %(timeframe)s
      AND (instrument, start_us) NOT IN
          (SELECT * FROM unnest(%(names)s::text[], %(starts)s::bigint[]))
    HAVING count(*) > 0
) AS found
"""


TOPIC: Final = Topic(
    spec.schemas(
        """
        Symbol
          symbol      string
          first,last  ms
          n           count
        """
    ),
)


@TOPIC.get(
    "/api/symbols",
    "All instruments, with the times of their first and last trade and their number.",
    "[Symbol]",
)
def _every(readers: Readers, _: Request) -> Response:
    return as_json(_symbols(readers.postgres, readers.live))


def _symbols(postgres: Postgres, live: LiveState) -> list[dict[str, Any]]:
    """Return every instrument with the times (ms) of its first and last trade and their count.

    Trades are counted once; ticks that have not reached a candle yet are not counted. Raises
    TransientError while a store is away.
    """
    longest = live.ladder[-1]
    candles = live.all_candles(longest)
    names, starts, data = list(candles.names), candles.start_us.tolist(), candles.records.data
    columns = (data["first"][:, 0], data["last"][:, 0], data["count"])
    extents = [*zip(names, *(column.tolist() for column in columns), strict=True)]
    parameters = {"timeframe": longest.name, "names": names, "starts": starts}
    with postgres.connection() as connection:
        extents += connection.execute(EXTENTS, parameters)
    by_name: dict[str, tuple[int, int, int]] = {}
    for name, first, last, count in extents:
        known = by_name.get(name)
        if known is not None:
            first, last, count = min(first, known[0]), max(last, known[1]), count + known[2]
        by_name[name] = first, last, count
    return [
        {"symbol": name, "first": first // 1000, "last": last // 1000, "n": count}
        for name, (first, last, count) in sorted(by_name.items())
    ]
