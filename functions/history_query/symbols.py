"""Which instruments there are, and how much of each, from the candles of the longest timeframe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import redis
from psycopg import Connection

from shared.candle import Candle, CandleState
from shared.state import Keys, unpack
from shared.stores.postgres import Postgres
from shared.stores.redis import translated
from shared.timeframes import Timeframe

# What is live is newer than what is stored of the same candle, so it stands in its place.
_STORED: Final = """
SELECT instrument, min(first_time_us), max(last_time_us), sum(trade_count)::bigint
FROM candles
WHERE timeframe = %s
  AND (instrument, start_us) NOT IN (SELECT * FROM unnest(%s::text[], %s::bigint[]))
GROUP BY instrument
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
    client: redis.Redis
    shards: int
    longest: Timeframe

    def all(self) -> list[dict[str, Any]]:
        """Return every instrument with the times (ms) of its first and last trade and their count.

        Trades are counted once; those of ticks that reached no candle yet are not in it.
        """
        live = [candle for shard in range(self.shards) for candle in self._live(Keys(shard))]
        found: dict[str, Extent] = {}
        with self.postgres.connection() as connection:
            stored = _stored(connection, self.longest, live)
        parts = [
            (each.instrument, Extent(each.first_time_us, each.last_time_us, each.trade_count))
            for each in live
        ]
        for name, extent in [*parts, *stored]:
            found[name] = extent.joined(found.get(name))
        return [
            {
                "symbol": name,
                "first": extent.first_us // 1000,
                "last": extent.last_us // 1000,
                "n": extent.trades,
            }
            for name, extent in sorted(found.items())
        ]

    def _live(self, keys: Keys) -> list[Candle]:
        with translated():
            names = [
                name.decode() for name in cast(set[bytes], self.client.smembers(keys.instruments))
            ]
            with self.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.zrange(keys.candles(name, self.longest.name), 0, -1)
                starts = cast(list[list[bytes]], pipe.execute())
            wanted = [
                keys.candle(name, self.longest.name, int(start))
                for name, some in zip(names, starts, strict=True)
                for start in some
            ]
            blobs = cast(list[bytes | None], self.client.mget(wanted) if wanted else [])
        return [CandleState.decode(unpack(blob)[1]).candle for blob in blobs if blob is not None]


def _stored(
    connection: Connection, longest: Timeframe, live: list[Candle]
) -> list[tuple[str, Extent]]:
    names, starts = [each.instrument for each in live], [each.start_us for each in live]
    rows = connection.execute(_STORED, (longest.name, names, starts)).fetchall()
    return [(name, Extent(first, last, trades)) for name, first, last, trades in rows]
