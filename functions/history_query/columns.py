"""Stored tick segments as columns, decoded many at once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.ticks import Bytes8, Int64s, Texts
from shared.trades import Rows

_HEADER_BYTES: Final = 20
_BIGINT: Final = np.dtype([("length", ">i4"), ("value", ">i8")])
_SMALLINT: Final = np.dtype([("length", ">i4"), ("value", ">i2")])


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of `tick_segments`. Arrays are as Postgres sends them: binary, without NULLs."""

    source: str
    price_scale: int
    size_scale: int
    tick_count: int
    first_time_us: int
    last_time_us: int
    event_time_us: bytes
    price: bytes
    size: bytes
    side: bytes | None
    trade_id: bytes | None
    trade_id_text: list[str] | None
    trade_id_kind: bytes | None
    trade_id_kind_all: int | None
    receive_time_us: bytes
    sequence: bytes


def rows_of(segments: Sequence[Segment]) -> Rows:
    """Decode segments, at least one, all at once: their arrays are joined before they are read."""
    counts = np.array([segment.tick_count for segment in segments], dtype=np.int64)
    text: Texts = np.full(int(counts.sum()), "", dtype=object)
    start = 0
    for segment in segments:
        if segment.trade_id_text is not None:
            text[start : start + segment.tick_count] = segment.trade_id_text
        start += segment.tick_count
    return Rows(
        _bigints([segment.event_time_us for segment in segments]),
        _bigints([segment.price for segment in segments]),
        _bigints([segment.size for segment in segments]),
        np.repeat(np.array([s.price_scale for s in segments], dtype=np.int16), counts),
        np.repeat(np.array([s.size_scale for s in segments], dtype=np.int16), counts),
        _smallints([segment.side or _all(0, segment.tick_count) for segment in segments]),
        _smallints(
            [s.trade_id_kind or _all(s.trade_id_kind_all or 0, s.tick_count) for s in segments]
        ),
        _bigints(
            [
                segment.trade_id or bytes(_HEADER_BYTES + segment.tick_count * _BIGINT.itemsize)
                for segment in segments
            ]
        ),
        text,
        _bigints([segment.receive_time_us for segment in segments]),
        np.repeat(np.array([segment.source for segment in segments], dtype=object), counts),
        _bigints([segment.sequence for segment in segments]),
    )


def _bigints(arrays: Sequence[bytes]) -> Int64s:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_BIGINT)
    return cells["value"].astype(np.int64)


def _smallints(arrays: Sequence[bytes]) -> Bytes8:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_SMALLINT)
    return cells["value"].astype(np.uint8)


def _all(value: int, count: int) -> bytes:
    """Return what Postgres would send for so many times one small integer."""
    return bytes(_HEADER_BYTES) + struct.pack(">ih", 2, value) * count
