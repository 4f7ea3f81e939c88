"""The live state in Redis: its keys, defined once for who writes it and who reads it.

All keys of a shard begin with the same hash tag, so that one atomic step may touch them in a
cluster. Every value that is compared before it is replaced begins with 8 bytes of version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from shared.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class Keys:
    """Names of one shard's keys."""

    shard: int

    @property
    def epoch(self) -> str:
        """Sentinel: the epoch of this state. Missing means that the state is lost, or none yet."""
        return f"{{{self.shard}}}:epoch"

    @property
    def rebuilding(self) -> str:
        """The epoch that is being built: who began later has another one, and writes alone."""
        return f"{{{self.shard}}}:rebuilding"

    @property
    def pending(self) -> str:
        """Sorted set: event id by when (ms) it was applied, until Postgres has recorded that."""
        return f"{{{self.shard}}}:pending"

    @property
    def instruments(self) -> str:
        """Set of all instruments."""
        return f"{{{self.shard}}}:instruments"

    @property
    def unpublished(self) -> str:
        """Sorted set: candle key by since when (ms): closed, changed, not yet emitted."""
        return f"{{{self.shard}}}:unpublished"

    @property
    def due(self) -> str:
        """Sorted set: instrument by when (us) to look whether it is quiet with a candle open."""
        return f"{{{self.shard}}}:due"

    @property
    def late(self) -> str:
        """Hash: event id -> base64 of LateBatch after 8 bytes of ms since 1970: not yet emitted."""
        return f"{{{self.shard}}}:late"

    @property
    def evictable(self) -> str:
        """Sorted set: `<timeframe>:<instrument>` by when (ms) to look for candles to let go."""
        return f"{{{self.shard}}}:evictable"

    def marker(self, event_id: str) -> str:
        """Present when the event has been applied: APPLIED, REPEATED or COMPARED."""
        return f"{{{self.shard}}}:applied:{event_id}"

    def instrument(self, name: str) -> str:
        """Versioned InstrumentState."""
        return f"{{{self.shard}}}:instrument:{name}"

    def open(self, name: str) -> str:
        """Sorted set: `<timeframe>:<start_us>` of open candles by their end (us)."""
        return f"{{{self.shard}}}:open:{name}"

    def candles(self, name: str, timeframe: str) -> str:
        """Sorted set: start_us of every candle in state, by itself."""
        return f"{{{self.shard}}}:candles:{timeframe}:{name}"

    def candle(self, name: str, timeframe: str, start_us: int) -> str:
        """Versioned CandleState; the version is the candle's revision."""
        return f"{{{self.shard}}}:candle:{timeframe}:{start_us}:{name}"

    def blocks(self, name: str) -> str:
        """Sorted set: `<minute>:<block>` of the seen trades in state, by minute."""
        return f"{{{self.shard}}}:blocks:{name}"

    def seen(self, name: str, minute: int, block: str) -> str:
        """Versioned SeenTrades of one UTC minute of event time and block of ids."""
        return f"{{{self.shard}}}:seen:{minute}:{block}:{name}"


APPLIED = b"1"
REPEATED = b"r"
"""Value of a marker: some of the event's ticks were left out, since their trades were counted."""
COMPARED = b"c"
"""Value of a marker: the same, and what they repeated has been compared once."""

MISSING = b""
"""Version of a value that is not there."""


def pack(version: int, value: bytes) -> bytes:
    """Put the version before the value."""
    return version_of(version) + value


def version_of(number: int) -> bytes:
    """Return a version as it stands before a value."""
    return struct.pack(">Q", number)


def unpack(blob: bytes) -> tuple[int, bytes]:
    """Take version and value apart."""
    return int.from_bytes(blob[:8], "big"), blob[8:]


def end_us(timeframe: Timeframe, start_us: int) -> int:
    """Return where a candle's interval ends, exclusive."""
    return start_us + timeframe.length_us
