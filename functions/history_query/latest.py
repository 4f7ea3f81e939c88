"""The latest trade of each instrument, from the live state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import redis

from shared.schema import state_pb2
from shared.shards import shard_of
from shared.state import Keys, unpack
from shared.stores.redis import translated


@dataclass(frozen=True, slots=True)
class LatestTrades:
    """Reads latest trades. Both methods raise TransientError while Redis is away."""

    client: redis.Redis
    shards: int

    def all(self) -> list[dict[str, Any]]:
        """Return every instrument's latest trade, by symbol."""
        found = []
        for shard in range(self.shards):
            keys = Keys(shard)
            with translated():
                names = sorted(cast(set[bytes], self.client.smembers(keys.instruments)))
                stored = [keys.instrument(name.decode()) for name in names]
                blobs = cast(list[bytes | None], self.client.mget(stored) if stored else [])
            found += [_as_json(blob) for blob in blobs if blob is not None]
        return sorted(found, key=lambda trade: str(trade["symbol"]))

    def one(self, symbol: str) -> dict[str, Any] | None:
        """Return an instrument's latest trade, or None."""
        keys = Keys(shard_of(symbol, self.shards))
        with translated():
            blob = cast(bytes | None, self.client.get(keys.instrument(symbol)))
        return None if blob is None else _as_json(blob)


def _as_json(blob: bytes) -> dict[str, Any]:
    state = state_pb2.InstrumentState.FromString(unpack(blob)[1])
    return {
        "symbol": state.name,
        "price": state.last_price,
        "size": state.last_size,
        "t": state.last.event_time_us // 1000,
        "received": state.received_us // 1000,
    }
