"""Candles as columns, and their form on the wire (candles.proto)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.errors import PermanentError
from shared.market.blocks import (
    CLOSED,
    INCOMPLETE,
    PARTIAL,
    PRICED,
    RECORD,
    VENUE,
    WIDE,
    Records,
    concatenated,
)
from shared.market.bounds import check_start
from shared.market.decimals import EXACT, MAX_SCALE, mantissa_text
from shared.market.int128 import Int128, of_int64
from shared.market.order import NO_ORDER_ID
from shared.schema import candles_pb2
from shared.wire import candle, columns
from shared.wire.candle import Candle
from shared.wire.columns import summed
from shared.wire.message_fields import parsed
from shared.wire.varints import deltas, packed, varint, zigzag

C = TypeVar("C", Candle, "CandleColumns")

_CODE: Final = "bad_candle_batch"
_column = partial(columns.column, _CODE)
_SUMS: Final = ("volume", "notional", "buy_volume", "sell_volume")
NUMBERS: Final = ("open", "high", "low", "close", *_SUMS)
_FIELDS: Final = tuple(field.name for field in fields(Candle))
_FLAGS: Final = CLOSED | PARTIAL | INCOMPLETE | WIDE | VENUE
_ORIGINS: Final = (candle.TRADES, candle.VENUE)
_MAX_CANDLE_SCALE: Final = 2 * MAX_SCALE
_MAX_DIGITS: Final = 400


@dataclass(frozen=True, slots=True, eq=False)
class CandleColumns:
    """n candles of one timeframe: `names[n]`, `start_us` int64[n], and their records.

    Of the order keys only the event times are encoded.
    """

    timeframe: str
    names: Sequence[str]
    start_us: NDArray[np.int64]
    records: Records

    def __len__(self) -> int:
        return len(self.start_us)

    def at(self, rows: NDArray[np.intp]) -> CandleColumns:
        """Return the rows of an index."""
        names = [self.names[row] for row in rows.tolist()]
        return CandleColumns(self.timeframe, names, self.start_us[rows], self.records.at(rows))

    def as_lists(self, numbers: Collection[str] = NUMBERS) -> dict[str, list[Any]]:
        """Return lists of plain values by field of `Candle`, of the exact `numbers` as text."""
        data, flags = self.records.data, self.records.data["flags"]
        lists: dict[str, list[Any]] = {
            "instrument": list(self.names),
            "timeframe": [self.timeframe] * len(self),
            "start_us": self.start_us.tolist(),
            "trade_count": data["count"].tolist(),
            "first_time_us": data["first"][:, 0].tolist(),
            "last_time_us": data["last"][:, 0].tolist(),
            "closed": ((flags & CLOSED) != 0).tolist(),
            "partial": ((flags & PARTIAL) != 0).tolist(),
            "complete": ((flags & INCOMPLETE) == 0).tolist(),
            "revision": data["revision"].tolist(),
            "origin": [_ORIGINS[each] for each in ((flags & VENUE) != 0).tolist()],
        }
        prices, sizes = data["price_scale"].tolist(), data["size_scale"].tolist()
        notional_scales = [price + size for price, size in zip(prices, sizes, strict=True)]
        scales = (prices, prices, prices, prices, sizes, notional_scales, sizes, sizes)
        columns = list(zip(*self.records.all_numbers(), strict=True)) or [()] * len(NUMBERS)
        for name, column, scale in zip(NUMBERS, columns, scales, strict=True):
            if name in numbers:
                lists[name] = list(map(mantissa_text, column, scale))
        return lists

    def candles(self) -> Iterator[Candle]:
        """Yield each candle as an object."""
        columns: dict[str, Iterable[Any]] = {**self.as_lists()}
        columns |= {name: map(Decimal, columns[name]) for name in NUMBERS}
        for values in zip(*(columns[name] for name in _FIELDS), strict=True):
            yield Candle(*values)

    @classmethod
    def of(cls, timeframe: str, candles: Sequence[Candle]) -> CandleColumns:
        """Return candles of one timeframe as columns."""
        records = Records(np.zeros(len(candles), dtype=RECORD))
        data = records.data
        for row, each in enumerate(candles):
            size = max(map(_decimals, (each.volume, each.buy_volume, each.sell_volume)))
            prices = each.numbers[:4]
            price = max(*map(_decimals, prices), _decimals(each.notional) - size)
            data[row]["price_scale"], data[row]["size_scale"] = price, size
            scales = (price, price, price, price, size, price + size, size, size)
            data[row]["flags"] = (
                CLOSED * each.closed
                | PARTIAL * each.partial
                | INCOMPLETE * (not each.complete)
                | PRICED
                | VENUE * (each.origin == candle.VENUE)
            )
            records.set_numbers(row, tuple(map(_mantissa, each.numbers, scales)))
        data["count"] = [each.trade_count for each in candles]
        data["revision"] = [each.revision for each in candles]
        data["first"][:, 0] = [each.first_time_us for each in candles]
        data["last"][:, 0] = [each.last_time_us for each in candles]
        data["first"][:, 1] = data["last"][:, 1] = NO_ORDER_ID
        starts = np.array([each.start_us for each in candles], dtype=np.int64)
        return cls(timeframe, [each.instrument for each in candles], starts, records)

    def encode(self) -> bytes:
        """Return a CandleBatch of these candles."""
        if not len(self):
            return b""
        data = self.records.data
        head = candles_pb2.CandleColumns(timeframe=self.timeframe, instrument=self.names)
        tail = candles_pb2.CandleColumns(
            wide=[str(each) for row in sorted(self.records.wide) for each in self.records.wide[row]]
        )
        open_ = data["prices"][:, 0]
        low = data["low"].view(np.int64)
        high = data["high"] - (low >> 63)
        columns = [
            (3, deltas(self.start_us)),
            (4, data["price_scale"].astype(np.uint64)),
            (5, data["size_scale"].astype(np.uint64)),
            (6, zigzag(open_)),
            *((6 + n, zigzag(data["prices"][:, n] - open_)) for n in (1, 2, 3)),
            *((10 + n, zigzag(low[:, n])) for n in range(4)),
            *((14 + n, zigzag(high[:, n])) for n in range(4) if high[:, n].any()),
            (18, data["count"].astype(np.uint64)),
            (19, zigzag(data["first"][:, 0] - self.start_us)),
            (20, zigzag(data["last"][:, 0] - self.start_us)),
            (21, (data["flags"] & _FLAGS).astype(np.uint64)),
            (22, deltas(data["revision"])),
        ]
        body = head.SerializeToString() + packed(columns) + tail.SerializeToString()
        return b"\x0a" + varint(len(body)) + body


def decode_columns(body: bytes) -> list[CandleColumns]:
    """Read a CandleBatch. Raises PermanentError `bad_candle_batch` that names the column."""
    return [_columns(each) for each in parsed(_CODE, candles_pb2.CandleBatch, body).columns]


def decode_batch(body: bytes) -> list[Candle]:
    """Read a CandleBatch as objects. Raises PermanentError `bad_candle_batch`."""
    return [candle for each in decode_columns(body) for candle in each.candles()]


def columns_of(candles: Iterable[Candle]) -> list[CandleColumns]:
    """Return objects as columns, one part for each timeframe."""
    return [CandleColumns.of(*group) for group in _by_timeframe(candles)]


def encode_batch(candles: Iterable[Candle]) -> bytes:
    """Return a CandleBatch of objects."""
    return b"".join(each.encode() for each in columns_of(candles))


def joined(parts: Sequence[CandleColumns]) -> list[CandleColumns]:
    """Return one part for each timeframe."""
    return [
        CandleColumns(
            timeframe,
            [name for part in group for name in part.names],
            np.concatenate([part.start_us for part in group]),
            concatenated([part.records for part in group]),
        )
        for timeframe, group in _by_timeframe(parts)
    ]


def _by_timeframe(parts: Iterable[C]) -> Iterable[tuple[str, list[C]]]:
    groups: dict[str, list[C]] = defaultdict(list)
    for part in parts:
        groups[part.timeframe].append(part)
    return groups.items()


def _columns(message: candles_pb2.CandleColumns) -> CandleColumns:
    n = len(message.instrument)
    start_us = summed(_column("start_us", message.start_us, n, np.int64))
    for name, start in zip(message.instrument, start_us.tolist(), strict=True):
        check_start(_CODE, name, message.timeframe, start)
    data = np.zeros(n, dtype=RECORD)
    for name in ("price_scale", "size_scale"):
        data[name] = _small(name, getattr(message, name), n, _MAX_CANDLE_SCALE)
    open_ = _column("open", message.open, n, np.int64)
    data["prices"][:, 0] = open_
    for index, name in enumerate(("high", "low", "close"), 1):
        data["prices"][:, index] = _column(name, getattr(message, name), n, np.int64) + open_
    for index, name in enumerate(_SUMS):
        low, high = of_int64(_column(name, getattr(message, name), n, np.int64))
        above = getattr(message, f"{name}_high")
        if len(above):
            high = high + _column(f"{name}_high", above, n, np.int64)
        data["low"][:, index], data["high"][:, index] = Int128(low, high)
    data["count"] = _column("trade_count", message.trade_count, n, np.uint64).view(np.int64)
    if n and data["count"].min() < 0:
        raise PermanentError(_CODE, "column trade_count has values beyond 64 bits")
    for key, name in (("first", "first_time_us"), ("last", "last_time_us")):
        data[key][:, 0] = _column(name, getattr(message, name), n, np.int64) + start_us
        data[key][:, 1] = NO_ORDER_ID
    data["flags"] = _small("flags", message.flags, n, 255) & _FLAGS | PRICED
    data["revision"] = summed(_column("revision", message.revision, n, np.int64))
    return CandleColumns(
        message.timeframe, list(message.instrument), start_us, _with_wide(data, message.wide)
    )


def _with_wide(data: NDArray[np.void], texts: Sequence[str]) -> Records:
    rows = np.flatnonzero(data["flags"] & WIDE).tolist()
    if len(texts) != 8 * len(rows):
        raise PermanentError(_CODE, f"column wide has {len(texts)} numbers of {len(rows)} rows")
    records = Records(data)
    for index, row in enumerate(rows):
        numbers = texts[8 * index : 8 * index + 8]
        if not all(_is_integer(text) for text in numbers):
            raise PermanentError(_CODE, "column wide has a number that is none, or beyond all")
        records.wide[row] = tuple(map(int, numbers))
    return records


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS


def _small(name: str, field: Any, n: int, largest: int) -> NDArray[np.uint8]:
    column = _column(name, field, n, np.int64)
    if n and not 0 <= int(column.min()) <= int(column.max()) <= largest:
        raise PermanentError(_CODE, f"column {name} has values beyond 0 to {largest}")
    return column.astype(np.uint8)


def _decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a number of a candle")
    return max(0, -exponent)


def _mantissa(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale, EXACT))
