"""GET /api/symbols: the list of instruments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg import Connection
from starlette.requests import Request
from starlette.responses import Response

from functions.history_query.api import openapi_schemas as spec
from functions.history_query.api.endpoints import Handlers, as_json
from shared.market.timeframes import Timeframe
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle_columns import CandleColumns

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


@dataclass(frozen=True, slots=True)
class Extent:
    """First and last trade, in microseconds since 1970, and how many trades."""

    first_us: int
    last_us: int
    trades: int

    def joined(self, other: Extent | None) -> Extent:
        """Return the extent of both."""
        if other is None:
            return self
        return Extent(
            min(self.first_us, other.first_us),
            max(self.last_us, other.last_us),
            self.trades + other.trades,
        )


@dataclass(frozen=True, slots=True)
class Symbols:
    """Reads the list. Raises TransientError while a store is away."""

    postgres: Postgres
    live: LiveState

    def all(self) -> list[dict[str, Any]]:
        """Return every instrument with the times (ms) of its first and last trade and their count.

        Trades are counted once; ticks that have not reached a candle yet are not counted.
        """
        longest = self.live.ladder[-1]
        live = self.live.all_candles(longest)
        data = live.records.data
        columns = (data["first"][:, 0], data["last"][:, 0], data["count"])
        extents = map(Extent, *(column.tolist() for column in columns))
        with self.postgres.connection() as connection:
            stored = _stored(connection, longest, live)
        by_name: dict[str, Extent] = {}
        for name, extent in [*zip(live.names, extents, strict=True), *stored]:
            by_name[name] = extent.joined(by_name.get(name))
        return [
            {
                "symbol": name,
                "first": extent.first_us // 1000,
                "last": extent.last_us // 1000,
                "n": extent.trades,
            }
            for name, extent in sorted(by_name.items())
        ]


def _stored(
    connection: Connection, longest: Timeframe, live: CandleColumns
) -> list[tuple[str, Extent]]:
    names, starts = list(live.names), live.start_us.tolist()
    parameters = {"timeframe": longest.name, "names": names, "starts": starts}
    rows = connection.execute(EXTENTS, parameters).fetchall()
    return [(name, Extent(first, last, trades)) for name, first, last, trades in rows]


PART: Final = spec.Part(
    {
        "/api/symbols": spec.get(
            "All instruments, with the times of their first and last trade and their number.",
            spec.list_of("Symbol"),
            refusals=(400, 503),
        ),
    },
    {
        "Symbol": spec.object_of(
            {"symbol": spec.NAME, "first": spec.MS, "last": spec.MS, "n": spec.COUNT}
        )
    },
)


def handlers(symbols: Symbols) -> Handlers:
    """Return the handlers of the routes."""

    def every(request: Request) -> Response:
        return as_json(symbols.all())

    return {"/api/symbols": every}
