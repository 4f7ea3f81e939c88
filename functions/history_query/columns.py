"""Stored tick segments as columns, decoded many at once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from shared.ticks import Bytes8, Int64s, Mantissas, Texts
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
    price: bytes | None
    size: bytes | None
    price_wide: list[Decimal] | None
    size_wide: list[Decimal] | None
    side: bytes | None
    trade_id: bytes | None
    trade_id_text: list[str] | None
    trade_id_kind: bytes | None
    trade_id_kind_all: int | None
    receive_time_us: bytes
    sequence: bytes
    flags: bytes | None
    venue: str


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
        _mantissas([segment.price for segment in segments], [s.price_wide for s in segments]),
        _mantissas([segment.size for segment in segments], [s.size_wide for s in segments]),
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
        _smallints([segment.flags or _all(0, segment.tick_count) for segment in segments]),
        np.repeat(np.array([segment.venue for segment in segments], dtype=object), counts),
    )


def _mantissas(arrays: Sequence[bytes | None], wides: Sequence[list[Decimal] | None]) -> Mantissas:
    plain = [array for array in arrays if array is not None]
    if len(plain) == len(arrays):
        return _bigints(plain)
    parts = []
    for array, wide in zip(arrays, wides, strict=True):
        values = [int(each) for each in wide or ()] if array is None else _bigints([array]).tolist()
        parts.append(np.array(values, dtype=object))
    return np.concatenate(parts)


def _bigints(arrays: Sequence[bytes]) -> Int64s:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_BIGINT)
    return cells["value"].astype(np.int64)


def _smallints(arrays: Sequence[bytes]) -> Bytes8:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_SMALLINT)
    return cells["value"].astype(np.uint8)


def _all(value: int, count: int) -> bytes:
    """Return what Postgres would send for so many times one small integer."""
    return bytes(_HEADER_BYTES) + struct.pack(">ih", 2, value) * count
