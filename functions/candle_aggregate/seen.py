"""Which trades were counted: a trade is its instrument, trade id and UTC minute of event time.

A feed that reconnects sends trades again; venues begin their ids anew, some each day. So ids are
kept by minute, and within it by block, so that an event reads and writes what is near its own ids
and not all that the minute has seen. Integers stand as runs, which is next to nothing for a feed
without gaps; texts as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.schema import state_pb2
from shared.ticks import INTEGER_ID, TEXT_ID, Int64s, Ticks

MINUTE_US = 60_000_000

BlockKey = tuple[str, int, str]
"""Instrument, minute since 1970 UTC, block: `i<n>` of integers, `t<n>` of texts."""

_BLOCK_BITS: Final = 12
_TEXT_BUCKETS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class SeenTrades:
    """Ids of one block: runs [start, start + length), ascending and apart, and texts."""

    start: Int64s
    length: Int64s
    texts: frozenset[str]

    @classmethod
    def none(cls) -> SeenTrades:
        """Return the empty set."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty, frozenset())

    def contains(self, ids: Int64s) -> NDArray[np.bool_]:
        """Tell for each integer id whether it is in the set."""
        if not len(self.start):
            return np.zeros(len(ids), dtype=bool)
        run = np.searchsorted(self.start, ids, side="right") - 1
        return (run >= 0) & (ids - self.start[run] < self.length[run])

    def with_ids(self, ids: Int64s, texts: frozenset[str]) -> SeenTrades:
        """Return the set with further ids, runs joined where they touch."""
        fresh = np.unique(ids)
        fresh = fresh[~self.contains(fresh)]
        start = np.concatenate([self.start, fresh])
        length = np.concatenate([self.length, np.ones(len(fresh), dtype=np.int64)])
        order = np.argsort(start)
        start, length = start[order], length[order]
        if len(start):
            begins = np.flatnonzero(np.append(True, start[1:] != start[:-1] + length[:-1]))
            start, length = start[begins], np.add.reduceat(length, begins)
        return SeenTrades(start, length, self.texts | texts)

    def encode(self) -> bytes:
        """Return the stored form."""
        return state_pb2.SeenTrades(
            start=np.diff(self.start, prepend=np.int64(0)).tolist(),
            length=self.length.tolist(),
            text=sorted(self.texts),
        ).SerializeToString()

    @classmethod
    def decode(cls, blob: bytes) -> SeenTrades:
        """Read the stored form."""
        message = state_pb2.SeenTrades.FromString(blob)
        return cls(
            np.cumsum(np.array(message.start, dtype=np.int64)),
            np.array(message.length, dtype=np.int64),
            frozenset(message.text),
        )


def trades_by_block(ticks: Ticks) -> dict[BlockKey, NDArray[np.int64]]:
    """Return the rows that carry trade ids, by instrument, minute and block, ascending."""
    found: dict[BlockKey, list[NDArray[np.int64]]] = {}
    for entry, rows in ticks.runs():
        minute = ticks.event_time_us[rows] // MINUTE_US
        firsts = np.flatnonzero(np.append(True, minute[1:] != minute[:-1]))
        lasts = np.append(firsts[1:], len(minute))
        for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True):
            some = np.arange(rows.start + a, rows.start + b)
            for block, of_block in _blocks(ticks, some):
                found.setdefault((entry.name, int(minute[a]), block), []).append(of_block)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def _blocks(ticks: Ticks, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    kind = ticks.trade_id_kind[rows]
    integers = rows[kind == INTEGER_ID]
    if len(integers):
        block = ticks.trade_id[integers] >> _BLOCK_BITS
        order = np.argsort(block, kind="stable")
        block = block[order]
        firsts = np.flatnonzero(np.append(True, block[1:] != block[:-1]))
        parts = np.split(integers[order], firsts[1:])
        for number, part in zip(block[firsts].tolist(), parts, strict=True):
            yield f"i{number}", part
    texts: dict[str, list[int]] = {}
    for row in rows[kind == TEXT_ID].tolist():
        bucket = zlib.crc32(ticks.text_at(row).encode()) % _TEXT_BUCKETS
        texts.setdefault(f"t{bucket}", []).append(row)
    for name, of_bucket in texts.items():
        yield name, np.array(of_bucket)


def unseen(
    ticks: Ticks,
    blocks: Mapping[BlockKey, NDArray[np.int64]],
    seen: Mapping[BlockKey, SeenTrades],
) -> tuple[NDArray[np.bool_], dict[BlockKey, SeenTrades]]:
    """Tell which rows are trades not counted before, and return the sets that grew.

    Of a trade that stands in the batch twice, the first in the total order counts.
    """
    keep = np.ones(len(ticks), dtype=bool)
    grown: dict[BlockKey, SeenTrades] = {}
    for key, rows in blocks.items():
        known = seen[key]
        if key[2].startswith("i"):
            ids = ticks.trade_id[rows]
            fresh = np.zeros(len(ids), dtype=bool)
            fresh[np.unique(ids, return_index=True)[1]] = True
            fresh &= ~known.contains(ids)
            keep[rows] = fresh
            if fresh.any():
                grown[key] = known.with_ids(ids[fresh], frozenset())
        else:
            texts: set[str] = set()
            for row in rows.tolist():
                text = ticks.text_at(row)
                keep[row] = text not in known.texts and text not in texts
                texts.add(text)
            if texts - known.texts:
                grown[key] = known.with_ids(np.zeros(0, dtype=np.int64), frozenset(texts))
    return keep, grown
