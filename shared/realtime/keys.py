"""Keys of the live state in Redis, for writers and readers.

All keys of a shard share a hash tag, so that one script may touch them in a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
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


@dataclass(frozen=True)
class Keys:
    """Names of one shard's keys."""

    shard: int

    @cached_property
    def prefix(self) -> str:
        """Prefix of all keys of the shard."""
        return f"{{{self.shard}}}:"

    @cached_property
    def head(self) -> str:
        """Hash: lineage, version, steps, fence, ladder, shards, evictions, numbers, left.

        Without a lineage there is no state. Every step changes `version`.
        """
        return self.prefix + "head"

    @cached_property
    def lease(self) -> str:
        """Lease of the writer: `<replica>|<fencing token>`, with a time to live."""
        return self.prefix + "lease"

    @cached_property
    def waiting(self) -> str:
        """Sorted set: replicas that wait for the lease, by since when (ms)."""
        return self.prefix + "waiting"

    @cached_property
    def blocks(self) -> str:
        """Hash: every block in the state -> how many of its records are open."""
        return self.prefix + "blocks"

    @cached_property
    def instruments(self) -> str:
        """Hash: instrument -> record of `shared.realtime.instrument_records`."""
        return self.prefix + "instruments"

    @cached_property
    def applied(self) -> str:
        """Sorted set: markers, event id by when it was applied (ms), until it is recorded."""
        return self.prefix + "applied"

    @cached_property
    def recorded(self) -> str:
        """Sorted set: markers of events that Postgres has recorded, by when (ms) that was."""
        return self.prefix + "recorded"

    @cached_property
    def minutes(self) -> str:
        """Set: the minutes that have a string of seen ids."""
        return self.prefix + "minutes"

    @cached_property
    def outbox(self) -> str:
        """Hash: output id -> 8 bytes of ms since 1970, then the encoded batch; until emitted."""
        return self.prefix + "outbox"

    @cached_property
    def watched(self) -> str:
        """Hash: watched instrument -> expiry (ms)."""
        return self.prefix + "watched"

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
