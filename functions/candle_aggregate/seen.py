"""Which trades were counted: a trade is its instrument, venue, trade id, UTC minute of event time.

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

from shared.repetitions import MINUTE_US
from shared.schema import state_pb2
from shared.ticks import INTEGER_ID, TEXT_ID, Int64s, Ticks

BlockKey = tuple[str, int, str]
"""Instrument, minute since 1970 UTC, block: `i<n>` of integers, `t<n>` of texts, `@<venue>`."""

_BLOCK_BITS: Final = 12
_IN_BLOCK: Final = (1 << _BLOCK_BITS) - 1
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
        return SeenTrades(*_joined(self.start, self.length, fresh), self.texts | texts)

    def encode(self) -> bytes:
        """Return the stored form."""
        start = self.start.copy()
        start[1:] -= self.start[:-1]
        return state_pb2.SeenTrades(
            start=start.tolist(),
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
            for kind, of_block in _blocks(ticks, some):
                block = f"{kind}@{entry.market.venue}" if entry.market.venue else kind
                found.setdefault((entry.name, int(minute[a]), block), []).append(of_block)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def _blocks(ticks: Ticks, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    kind = ticks.trade_id_kind[rows]
    integers = rows[kind == INTEGER_ID]
    if len(integers):
        block = ticks.trade_id[integers] >> _BLOCK_BITS
        if (block[1:] < block[:-1]).any():
            order = np.argsort(block, kind="stable")
            block, integers = block[order], integers[order]
        lasts = np.append(np.flatnonzero(block[1:] != block[:-1]), len(block) - 1)
        first = 0
        for number, last in zip(block[lasts].tolist(), lasts.tolist(), strict=True):
            yield f"i{number}", integers[first : last + 1]
            first = last + 1
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
    integers = {key: rows for key, rows in blocks.items() if key[2].startswith("i")}
    grown = _unseen_integers(ticks, integers, seen, keep) if integers else {}
    for key in blocks.keys() - integers.keys():
        known = seen[key]
        texts: set[str] = set()
        for row in blocks[key].tolist():
            text = ticks.text_at(row)
            keep[row] = text not in known.texts and text not in texts
            texts.add(text)
        if texts - known.texts:
            grown[key] = known.with_ids(np.zeros(0, dtype=np.int64), frozenset(texts))
    return keep, grown


def _unseen_integers(
    ticks: Ticks,
    blocks: Mapping[BlockKey, NDArray[np.int64]],
    seen: Mapping[BlockKey, SeenTrades],
    keep: NDArray[np.bool_],
) -> dict[BlockKey, SeenTrades]:
    """Do it for all blocks at once: block n's ids become those from n x 2^_BLOCK_BITS on.

    Writes the rows that repeat a trade into `keep`.
    """
    known = [seen[key] for key in blocks]
    rows = np.concatenate(list(blocks.values()))
    place = np.repeat(np.arange(len(blocks)), [len(of_block) for of_block in blocks.values()])
    ids, first = np.unique(
        (place << _BLOCK_BITS) + (ticks.trade_id[rows] & _IN_BLOCK), return_index=True
    )
    place = np.repeat(np.arange(len(known)), [len(of_block.start) for of_block in known])
    start = np.concatenate([of_block.start for of_block in known])
    every = SeenTrades(
        (place << _BLOCK_BITS) + (start & _IN_BLOCK),
        np.concatenate([of_block.length for of_block in known]),
        frozenset(),
    )
    fresh = ~every.contains(ids)
    keep[rows] = False
    keep[rows[first[fresh]]] = True
    start, length = _joined(every.start, every.length, ids[fresh])
    bounds = np.searchsorted(start, np.arange(len(known) + 1) << _BLOCK_BITS).tolist()
    changed = np.bincount(ids[fresh] >> _BLOCK_BITS, minlength=len(known)) > 0
    grown = {}
    for n, key in enumerate(blocks):
        if changed[n]:
            some = slice(bounds[n], bounds[n + 1])
            begin = int(key[2][1:].partition("@")[0]) << _BLOCK_BITS
            of_block = (start[some] & _IN_BLOCK) + begin
            grown[key] = SeenTrades(of_block, length[some], known[n].texts)
    return grown


def _joined(start: Int64s, length: Int64s, ids: Int64s) -> tuple[Int64s, Int64s]:
    """Return the runs with further ids, joined where they touch within a block."""
    start = np.concatenate([start, ids])
    length = np.concatenate([length, np.ones(len(ids), dtype=np.int64)])
    order = np.argsort(start, kind="stable")
    start, length = start[order], length[order]
    if not len(start):
        return start, length
    touches = (start[1:] == start[:-1] + length[:-1]) & ((start[1:] & _IN_BLOCK) != 0)
    begins = np.flatnonzero(np.append(True, ~touches))
    return start[begins], np.add.reduceat(length, begins)
