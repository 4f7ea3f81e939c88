"""Keys of the live state in Redis, for writers and readers.

All keys of a shard share a hash tag, so that one script may touch them in a cluster.
"""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """The candles of one timeframe that start at the same time."""

    timeframe: str
    start_us: int

    @property
    def field(self) -> str:
        """Its field of `blocks`."""
        return f"{self.timeframe}:{self.start_us}"

    @classmethod
    def of(cls, field: bytes) -> Block:
        """Read how `blocks` names it."""
        timeframe, start_us = field.decode().split(":")
        return cls(timeframe, int(start_us))


class _Key:
    """A key that is called like its attribute."""

    def __set_name__(self, owner: type[Keys], name: str) -> None:
        self._name = name

    def __get__(self, keys: Keys, owner: type[Keys]) -> str:
        return keys.prefix + self._name


class Keys:
    """Names of one shard's keys."""

    def __init__(self, shard: int) -> None:
        self.prefix = f"{{{shard}}}:"

    head = _Key()
    """Hash: lineage, version, steps, fence, ladder, shards, evictions, numbers, left.

    Without a lineage there is no state. Every step changes `version`."""
    lease = _Key()
    """Lease of the writer: `<replica>|<fencing token>`, with a time to live."""
    waiting = _Key()
    """Sorted set: replicas that wait for the lease, by since when (ms)."""
    blocks = _Key()
    """Hash: every block in the state -> how many of its records are open."""
    instruments = _Key()
    """Hash: instrument -> record of `shared.realtime.instrument_records`."""
    applied = _Key()
    """Sorted set: markers, event id by when it was applied (ms), until it is recorded."""
    recorded = _Key()
    """Sorted set: markers of events that Postgres has recorded, by when (ms) that was."""
    minutes = _Key()
    """Set: the minutes that have a string of seen ids."""
    outbox = _Key()
    """Hash: output id -> 8 bytes of ms since 1970, then the encoded batch; until emitted."""
    watched = _Key()
    """Hash: watched instrument -> expiry (ms)."""

    def block(self, block: Block) -> str:
        """Return the key of a hash: instrument -> candle record of `shared.market.blocks`.

        All candles of the base timeframe; for a longer one, the fold of its closed base candles.
        """
        return f"{self.prefix}block:{block.timeframe}:{block.start_us}"

    def seen(self, minute: int) -> str:
        """Return the key of the concatenated SeenTrades messages of a UTC minute of event time."""
        return f"{self.prefix}seen:{minute}"


def granted_to(replica: str) -> str:
    """Return the key of a list that has an element once leases were handed over to a replica."""
    return f"granted:{replica}"
