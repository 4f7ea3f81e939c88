"""Stored tick segments as columns of trades in the total order: array operations throughout."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.decimals import INT64_MAX
from shared.order import OrderKey
from shared.ticks import INTEGER_ID, NO_ID, TEXT_ID, Bytes8, Entry, Int64s, Texts, Ticks

MINUTE_US: Final = 60_000_000

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


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of ticks of one instrument in any order, each with its own scales."""

    time_us: Int64s
    price: Int64s
    size: Int64s
    price_scale: NDArray[np.int16]
    size_scale: NDArray[np.int16]
    side: Bytes8
    kind: Bytes8
    trade_id: Int64s
    text: Texts
    receive_us: Int64s
    source: Texts
    sequence: Int64s

    def __len__(self) -> int:
        return len(self.time_us)

    def at(self, rows: NDArray[Any]) -> Rows:
        """Return the rows of an index or a mask."""
        return Rows(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Columns in the total order, each trade once, at one pair of scales.

    `price`, `size`: mantissas, of Python integers where 64 bits do not hold them at that scale.
    """

    rows: Rows
    price: NDArray[Any]
    size: NDArray[Any]
    price_scale: int
    size_scale: int

    def __len__(self) -> int:
        return len(self.rows)

    def key_at(self, row: int) -> OrderKey:
        """Return the row's place in the total order."""
        rows = self.rows
        return OrderKey(
            int(rows.time_us[row]),
            int(rows.kind[row]),
            int(rows.trade_id[row]),
            str(rows.text[row]),
            int(rows.receive_us[row]),
            str(rows.source[row]),
            int(rows.sequence[row]),
        )

    def as_ticks(self, symbol: str) -> Ticks:
        """Return what the kernel takes."""
        rows = self.rows
        return Ticks(
            "",
            (Entry(symbol, self.price_scale, self.size_scale, len(self)),) if len(self) else (),
            rows.time_us,
            self.price,
            self.size,
            rows.side,
            rows.kind,
            rows.trade_id,
            rows.text,
            rows.receive_us,
            rows.sequence,
        )


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


def concatenated(parts: Sequence[Rows]) -> Rows:
    """Return all rows of the parts, at least one."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(Rows)]
    return Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class TradeIds:
    """Which trades the earlier part of a minute has. `minute`: since 1970."""

    minute: int
    integers: Int64s
    texts: frozenset[str]

    @classmethod
    def of(cls, minute: int, parts: Iterable[Rows]) -> TradeIds:
        """Collect the ids of all rows, which are of that minute."""
        integers: list[Int64s] = []
        texts: set[str] = set()
        for rows in parts:
            integers.append(rows.trade_id[rows.kind == INTEGER_ID])
            texts.update(rows.text[rows.kind == TEXT_ID].tolist())
        return cls(minute, np.concatenate([np.zeros(0, np.int64), *integers]), frozenset(texts))

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell for each row whether its trade is one of these."""
        here = rows.time_us // MINUTE_US == self.minute
        found: NDArray[np.bool_] = np.isin(rows.trade_id, self.integers)
        found &= here & (rows.kind == INTEGER_ID)
        if self.texts:
            places = np.flatnonzero(here & (rows.kind == TEXT_ID))
            found[places] = [text in self.texts for text in rows.text[places].tolist()]
        return found


def trades_of(rows: Rows, earlier: TradeIds | None = None) -> Trades:
    """Sort by the total order, and keep the first of each trade.

    A trade is its trade id in a UTC minute; ticks without an id are each one. So `rows` must hold
    whole minutes, but for the first: `earlier` are the trades that stand before `rows` in it.
    """
    if len(rows) and not (np.diff(rows.time_us) > 0).all():
        rows = rows.at(_order(rows))
    if earlier is not None:
        rows = rows.at(~earlier.known(rows))
    rows = _each_trade_once(rows)
    price, price_scale = _at_one_scale(rows.price, rows.price_scale)
    size, size_scale = _at_one_scale(rows.size, rows.size_scale)
    return Trades(rows, price, size, price_scale, size_scale)


def _order(rows: Rows) -> NDArray[np.intp]:
    """Stable in time first, which is quick where it is nearly sorted; then only ties need more."""
    order = np.argsort(rows.time_us, kind="stable")
    time = rows.time_us[order]
    same = np.flatnonzero(time[1:] == time[:-1])
    if len(same):
        places = np.union1d(same, same + 1)
        tied = order[places]
        keys = (
            rows.sequence[tied],
            _ranks(rows.source[tied]),
            rows.receive_us[tied],
            _ranks(rows.text[tied]),
            rows.trade_id[tied],
            rows.kind[tied],
            rows.time_us[tied],
        )
        order[places] = tied[np.lexsort(keys)]
    return order


def _each_trade_once(rows: Rows) -> Rows:
    ids = np.flatnonzero(rows.kind != NO_ID)
    keys = (
        _ranks(rows.text[ids]),
        rows.trade_id[ids],
        rows.kind[ids],
        rows.time_us[ids] // MINUTE_US,
    )
    by_trade = np.lexsort(keys)  # stable, so the first of equals is the first in the total order
    again = np.ones(max(len(ids) - 1, 0), dtype=bool)
    for key in keys:
        ordered = key[by_trade]
        again &= ordered[1:] == ordered[:-1]
    if not again.any():
        return rows
    keep = np.ones(len(rows), dtype=bool)
    keep[ids[by_trade[1:][again]]] = False
    return rows.at(keep)


def _ranks(texts: Texts) -> Int64s:
    """Return integers that compare as the texts do; mostly all texts are one and the same."""
    if not len(texts) or (texts == texts[0]).all():
        return np.zeros(len(texts), dtype=np.int64)
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def _at_one_scale(mantissa: Int64s, scale: NDArray[np.int16]) -> tuple[NDArray[Any], int]:
    if not len(scale):
        return mantissa, 0
    common = int(scale.max())
    result: NDArray[Any] = mantissa
    for other in np.unique(scale).tolist():
        if other == common:
            continue
        some = scale == other
        factor = 10 ** (common - other)
        largest = int(result[some].max())
        if result.dtype != object and (factor > INT64_MAX or largest * factor > INT64_MAX):
            result = result.astype(object)
        elif result is mantissa:
            result = mantissa.copy()
        result[some] *= factor
    return result, common


def _bigints(arrays: Sequence[bytes]) -> Int64s:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_BIGINT)
    return cells["value"].astype(np.int64)


def _smallints(arrays: Sequence[bytes]) -> Bytes8:
    cells = np.frombuffer(b"".join([array[_HEADER_BYTES:] for array in arrays]), dtype=_SMALLINT)
    return cells["value"].astype(np.uint8)


def _all(value: int, count: int) -> bytes:
    """Return what Postgres would send for so many times one small integer."""
    return bytes(_HEADER_BYTES) + struct.pack(">ih", 2, value) * count
