"""Which trades were counted: a trade is its instrument, trade id and UTC minute of event time.

A feed that reconnects sends trades again; venues begin their ids anew, some each day. So ids are
kept by minute: as runs of consecutive integers, which is next to nothing for a feed without gaps,
and as texts where they are no integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.schema import state_pb2
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID, Int64s, Ticks

MINUTE_US = 60_000_000

MinuteKey = tuple[str, int]
"""Instrument, minute since 1970 UTC."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenTrades:
    """Ids of one instrument and minute: runs [start, start + length), ascending and apart."""

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


def minutes_with_ids(ticks: Ticks) -> dict[MinuteKey, list[slice]]:
    """Return the runs of rows of each instrument and minute that hold trade ids."""
    found: dict[MinuteKey, list[slice]] = {}
    for entry, rows in ticks.runs():
        minute = ticks.event_time_us[rows] // MINUTE_US
        has_id = ticks.trade_id_kind[rows] != NO_ID
        firsts = np.flatnonzero(np.diff(minute, prepend=minute[0] - 1))
        lasts = np.append(firsts[1:], len(minute))
        for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True):
            if has_id[a:b].any():
                key = (entry.name, int(minute[a]))
                found.setdefault(key, []).append(slice(rows.start + a, rows.start + b))
    return found


def unseen(
    ticks: Ticks, minutes: dict[MinuteKey, list[slice]], seen: dict[MinuteKey, SeenTrades]
) -> tuple[NDArray[np.bool_], dict[MinuteKey, SeenTrades]]:
    """Tell which rows are trades not counted before, and return the sets that grew.

    Of a trade that stands in the batch twice, the first in the total order counts.
    """
    keep = np.ones(len(ticks), dtype=bool)
    grown: dict[MinuteKey, SeenTrades] = {}
    for key, runs in minutes.items():
        known = seen[key]
        for rows in runs:
            kind = ticks.trade_id_kind[rows]
            integer = np.flatnonzero(kind == INTEGER_ID)
            ids = ticks.trade_id[rows][integer]
            fresh = np.zeros(len(ids), dtype=bool)
            fresh[np.unique(ids, return_index=True)[1]] = True
            fresh &= ~known.contains(ids)
            keep[rows][integer] = fresh
            texts: set[str] = set()
            for row in np.flatnonzero(kind == TEXT_ID).tolist():
                text = ticks.text_at(rows.start + row)
                keep[rows.start + row] = text not in known.texts and text not in texts
                texts.add(text)
            if fresh.any() or texts - known.texts:
                known = grown[key] = known.with_ids(ids[fresh], frozenset(texts))
    return keep, grown
