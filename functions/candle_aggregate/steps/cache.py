"""Cache of the live state in this replica: records in one pool, by block and instrument.

An instrument has a number of its own in this process (`gid`), which indexes every array here. What
is known of a shard is forgotten when another replica has written to it since.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.market.blocks import RECORD, Records, as_bytes
from shared.market.shards import shard_of
from shared.realtime.instrument_records import INSTRUMENT, NEVER_US
from shared.realtime.keys import Block

UNKNOWN: Final = -2
ABSENT: Final = -1
_BLOCKS: Final = 64
"""Cached blocks; a step may exceed it until `trim`."""

Ints = NDArray[np.int64]
Index = NDArray[np.int32]


class Instruments:
    """Names, shards and records of instruments, by gid. `known` int8: UNKNOWN, ABSENT or 1.

    `fields`: the names as Redis has them.
    """

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._gids: dict[str, int] = {}
        self.names: list[str] = []
        self.fields: list[bytes] = []
        self.shard: Ints = np.zeros(0, dtype=np.int64)
        self.known: NDArray[np.int8] = np.zeros(0, dtype=np.int8)
        self.data: NDArray[np.void] = np.zeros(0, dtype=INSTRUMENT)
        self.wide: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def gids(self, names: Sequence[str]) -> Ints:
        """Return the gid of each name; a new name gets the next."""
        gids = [self._gids.get(name, -1) for name in names]
        if -1 in gids:
            gids = [self._gid(name) for name in names]
        return np.array(gids, dtype=np.int64)

    def _gid(self, name: str) -> int:
        gid = self._gids.setdefault(name, len(self.names))
        if gid == len(self.names):
            self.names.append(name)
            self.fields.append(name.encode())
            if gid >= len(self.data):
                size = max(64, 2 * len(self.data))
                self.shard = _grown(self.shard, size)
                self.known = _grown(self.known, size, UNKNOWN)
                self.data = _grown(self.data, size)
            self.shard[gid] = shard_of(name, self._shards)
        return gid

    def load(self, gids: Ints, blobs: Sequence[bytes | None]) -> None:
        """Load records read from Redis."""
        size = INSTRUMENT.itemsize
        is_present = np.array([blob is not None for blob in blobs], dtype=bool)
        present = [blob for blob in blobs if blob is not None]
        self.known[gids] = np.where(is_present, 1, ABSENT)
        whole = b"".join(blob[:size] for blob in present)
        self.data.put(gids[is_present], np.frombuffer(whole, dtype=INSTRUMENT))
        for gid, blob in zip(gids[is_present].tolist(), present, strict=True):
            if len(blob) > size:
                price, traded = blob[size:].split()
                self.wide[gid] = int(price), int(traded)
            elif self.wide:
                self.wide.pop(gid, None)

    def encode(self, gids: Ints) -> list[bytes]:
        """Return the stored form of instruments."""
        size, body = INSTRUMENT.itemsize, self.data.take(gids).tobytes()
        blobs = [body[n : n + size] for n in range(0, len(body), size)]
        if self.wide:
            for n, gid in enumerate(gids.tolist()):
                if gid in self.wide:
                    blobs[n] += " ".join(map(str, self.wide[gid])).encode()
        return blobs

    def begin(self, gids: Ints, numbers: Sequence[int]) -> None:
        """Create records of instruments that are new to the state."""
        records = np.zeros(len(gids), dtype=INSTRUMENT)
        for name in (
            *("newest_us", "watermark_us", "limit_us", "floor_us"),
            *("seen_minute", "seen_highest"),
        ):
            records[name] = NEVER_US
        records["last"] = NEVER_US
        records["first_us"] = 2**63 - 1
        records["number"] = numbers
        self.data.put(gids, records)
        self.known[gids] = 1
        for gid in gids.tolist():
            self.wide.pop(gid, None)

    def forget(self, shard: int) -> None:
        """Forget what is known of a shard."""
        self.known[: len(self)][self.shard[: len(self)] == shard] = UNKNOWN


class Cache:
    """Instruments, and candle records by block and gid."""

    def __init__(self, shards: int) -> None:
        self.instruments = Instruments(shards)
        self.pool = Records(np.zeros(1024, dtype=RECORD))
        self._free = list(range(1024))
        self._index: OrderedDict[Block, Index] = OrderedDict()

    def rows(self, block: Block, gids: Ints) -> Index:
        """Return the pool's row of each instrument's record, or UNKNOWN, or ABSENT."""
        index = self._index.get(block)
        size = len(self.instruments.data)
        if index is None:
            index = self._index[block] = np.full(size, UNKNOWN, dtype=np.int32)
        elif len(index) < size:
            index = self._index[block] = _grown(index, size, UNKNOWN)
        self._index.move_to_end(block)
        rows: Index = index[gids]
        return rows

    def put(self, block: Block, gids: Ints, records: Records) -> Index:
        """Write records of distinct instruments; return their rows."""
        rows = self.rows(block, gids)
        is_new = rows < 0
        if is_new.any():
            rows[is_new] = self._allocated(int(is_new.sum()))
            self._index[block][gids] = rows
        self.pool.data.put(rows, records.data)
        if self.pool.wide:
            for row in rows.tolist():
                self.pool.wide.pop(row, None)
        for place, numbers in records.wide.items():
            self.pool.wide[int(rows[place])] = numbers
        return rows

    def load(self, block: Block, gids: Ints, blobs: Sequence[bytes | None]) -> None:
        """Load a block's records read from Redis."""
        is_present = np.array([blob is not None for blob in blobs], dtype=bool)
        self.rows(block, gids)
        self._index[block][gids[~is_present]] = ABSENT
        if is_present.any():
            records = Records.decode([blob for blob in blobs if blob is not None])
            self.put(block, gids[is_present], records)

    def forget(self, shard: int) -> None:
        """Forget what is known of a shard."""
        self.instruments.forget(shard)
        of_shard = self.instruments.shard == shard
        for index in self._index.values():
            in_block = of_shard[: len(index)]
            self._release(index[in_block])
            index[in_block] = UNKNOWN

    def trim(self) -> None:
        """Forget the blocks that were used longest ago; called between steps."""
        while len(self._index) > _BLOCKS:
            _, index = self._index.popitem(last=False)
            self._release(index)

    def _allocated(self, count: int) -> list[int]:
        if count > len(self._free):
            before = len(self.pool)
            size = max(2 * before, before + count)
            self.pool.data = _grown(self.pool.data, size)
            self._free += range(before, size)
        taken = self._free[-count:]
        del self._free[-count:]
        return taken

    def _release(self, rows: Index) -> None:
        used = rows[rows >= 0].tolist()
        self._free += used
        if self.pool.wide:
            for row in used:
                self.pool.wide.pop(row, None)


def _grown(array: NDArray[Any], size: int, fill: int = 0) -> NDArray[Any]:
    grown = np.zeros(size, dtype=array.dtype)
    as_bytes(grown)[: len(array)] = as_bytes(array)
    if fill:
        grown[len(array) :] = fill
    return grown
