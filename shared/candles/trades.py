"""Columns of an instrument's trades in the total order, by array operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.market.decimals import INT64_MAX
from shared.market.instruments import NO_MARKET, Market
from shared.market.order import NO_ORDER_ID, OrderKey, source_key
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import (
    CANCELLED,
    ENDING,
    INTEGER_ID,
    NO_ID,
    TEXT_ID,
    Bytes8,
    Int64s,
    Mantissas,
    Texts,
    Ticks,
)

MINUTE_US: Final = 60_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of ticks of one instrument in any order, each with its own scales."""

    time_us: Int64s
    price: Mantissas
    size: Mantissas
    price_scale: NDArray[np.int16]
    size_scale: NDArray[np.int16]
    side: Bytes8
    kind: Bytes8
    trade_id: Int64s
    text: Texts
    receive_us: Int64s
    source: Texts
    sequence: Int64s
    flags: Bytes8
    venue: Texts

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def nbytes(self) -> int:
        """Memory of the columns in bytes; texts are shared."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    @classmethod
    def of(cls, ticks: Ticks) -> Rows:
        """Return the rows of a batch of one entry."""
        (entry,) = ticks.entries
        n = len(ticks)
        text = ticks.trade_id_text
        return cls(
            ticks.event_time_us,
            ticks.price,
            ticks.size,
            np.full(n, entry.price_scale, dtype=np.int16),
            np.full(n, entry.size_scale, dtype=np.int16),
            ticks.side,
            ticks.trade_id_kind,
            ticks.trade_id,
            np.full(n, "", dtype=object) if text is None else text,
            ticks.receive_time_us,
            np.full(n, ticks.source, dtype=object),
            ticks.sequence,
            ticks.flags,
            np.full(n, entry.market.venue, dtype=object),
        )

    def at(self, rows: NDArray[Any] | slice) -> Rows:
        """Return the rows of an index, a mask or a slice."""
        time_us = self.time_us[rows]
        columns = (getattr(self, field.name) for field in fields(self)[1:])
        return Rows(
            time_us,
            *(
                np.broadcast_to(each[:1], time_us.shape) if _is_constant(each) else each[rows]
                for each in columns
            ),
        )


_NONE: Final = np.zeros(0, dtype=np.int64)
_NO_SCALES: Final = np.zeros(0, dtype=np.int16)
_NO_BYTES: Final = np.zeros(0, dtype=np.uint8)
_NO_TEXTS: Final = np.zeros(0, dtype=object)
NO_ROWS: Final = Rows(
    *(_NONE, _NONE, _NONE, _NO_SCALES, _NO_SCALES, _NO_BYTES, _NO_BYTES, _NONE, _NO_TEXTS),
    *(_NONE, _NO_TEXTS, _NONE, _NO_BYTES, _NO_TEXTS),
)


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Columns in the total order, each trade once, at one pair of scales.

    Cancels and corrections are rows too. `ended_us`: receive time of the cancel or correction that
    ended the row, 0 if it counts. `price`, `size`: mantissas, Python integers if 64 bits do not
    hold them at that scale.
    """

    rows: Rows
    price: NDArray[Any]
    size: NDArray[Any]
    price_scale: int
    size_scale: int
    ended_us: Int64s

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def prints(self) -> NDArray[np.bool_]:
        """Return which rows are trades, whether or not they have ended."""
        mask: NDArray[np.bool_] = (self.rows.flags & CANCELLED) == 0
        return mask

    def standing(self) -> Trades:
        """Return the trades that count."""
        stand = self.prints & (self.ended_us == 0)
        return self if stand.all() else self.at(stand)

    def at(self, rows: NDArray[Any] | slice) -> Trades:
        """Return the rows of an index, a mask or a slice."""
        return replace(
            self,
            rows=self.rows.at(rows),
            price=self.price[rows],
            size=self.size[rows],
            ended_us=self.ended_us[rows],
        )

    def key_at(self, row: int) -> OrderKey:
        """Return the row's position in the total order."""
        rows = self.rows
        return OrderKey(
            int(rows.time_us[row]),
            int(rows.trade_id[row]) if rows.kind[row] == INTEGER_ID else NO_ORDER_ID,
            int(rows.receive_us[row]),
            source_key(str(rows.source[row])),
            int(rows.sequence[row]),
        )

    def as_ticks(self, symbol: str, source: str = "", market: Market = NO_MARKET) -> Ticks:
        """Return the input of the kernel."""
        rows = self.rows
        entry = Entry(symbol, self.price_scale, self.size_scale, len(self), market)
        return Ticks(
            source,
            Entries.of(*[entry][: len(self)]),
            rows.time_us,
            self.price,
            self.size,
            rows.side,
            rows.kind,
            rows.trade_id,
            rows.text,
            rows.receive_us,
            rows.sequence,
            rows.flags,
        )


def concatenated(parts: Sequence[Rows]) -> Rows:
    """Return all rows of the parts, at least one."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(Rows)]
    return Rows(*(_joined([getattr(part, name) for part in parts]) for name in names))


def constant(text: str, count: int) -> Texts:
    """Return a column that repeats a text in no memory; it is read-only."""
    return np.broadcast_to(np.array(text, dtype=object), (count,))


def _is_constant(column: NDArray[Any]) -> bool:
    return column.strides == (0,) and len(column) > 0


def _joined(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if all(map(_is_constant, columns)) and len({each[0] for each in columns}) == 1:
        return constant(columns[0][0], sum(map(len, columns)))
    return np.concatenate(columns)


def batches_of(rows: Rows, symbol: str) -> Iterator[Ticks]:
    """Yield a batch for each source and venue, each trade once, in the total order."""
    for source, venue in sorted(set(zip(rows.source.tolist(), rows.venue.tolist(), strict=True))):
        part = rows.at(((rows.source == source) & (rows.venue == venue)).astype(bool))
        market = Market(venue, "") if venue else NO_MARKET
        yield trades_of(part).as_ticks(symbol, source, market)


@dataclass(frozen=True, slots=True, eq=False)
class TradeIds:
    """Trade ids of the earlier part of a minute, by venue. `minute`: since 1970."""

    minute: int
    integers: Mapping[str, Int64s]
    texts: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, minute: int, parts: Iterable[Rows]) -> TradeIds:
        """Collect the ids of all rows, which are of that minute."""
        integers: dict[str, list[Int64s]] = {}
        texts: set[tuple[str, str]] = set()
        for rows in parts:
            for venue in set(rows.venue.tolist()):
                mask = (rows.kind == INTEGER_ID) & (rows.venue == venue)
                integers.setdefault(venue, []).append(rows.trade_id[mask])
            mask = rows.kind == TEXT_ID
            texts.update(zip(rows.venue[mask].tolist(), rows.text[mask].tolist(), strict=True))
        joined = {venue: np.concatenate(ids) for venue, ids in integers.items()}
        return cls(minute, joined, frozenset(texts))

    def known(self, rows: Rows) -> NDArray[np.bool_]:
        """Return for each row whether its trade is one of these."""
        in_minute = rows.time_us // MINUTE_US == self.minute
        seen = np.zeros(len(rows), dtype=bool)
        for venue, ids in self.integers.items():
            seen |= np.isin(rows.trade_id, ids) & (rows.venue == venue).astype(bool)
        seen &= in_minute & (rows.kind == INTEGER_ID)
        if self.texts:
            positions = np.flatnonzero(in_minute & (rows.kind == TEXT_ID))
            pairs = zip(rows.venue[positions].tolist(), rows.text[positions].tolist(), strict=True)
            seen[positions] = [pair in self.texts for pair in pairs]
        return seen


def trades_of(rows: Rows, earlier: TradeIds | None = None) -> Trades:
    """Sort by the total order; keep the first print of each trade, and what ended it.

    A trade is its venue and trade id in a UTC minute; ticks without an id are distinct, unless they
    are one tick read from two places. So `rows` must hold whole minutes, except the first:
    `earlier` are the trades before `rows` in it.
    """
    if len(rows) and not (np.diff(rows.time_us) > 0).all():
        order = _order(rows)
        is_sorted = (np.diff(order) == 1).all()
        rows = _drop_duplicates(rows if is_sorted else rows.at(order))
    if earlier is not None:
        rows = rows.at(~earlier.known(rows))
    rows, ended_us = _each_trade_once(rows)
    price, price_scale = _at_one_scale(rows.price, rows.price_scale)
    size, size_scale = _at_one_scale(rows.size, rows.size_scale)
    return Trades(rows, price, size, price_scale, size_scale, ended_us)


def _order(rows: Rows) -> NDArray[np.intp]:
    """Stable sort by time first, which is fast on nearly sorted input; then only ties."""
    order = np.argsort(rows.time_us, kind="stable")
    time = rows.time_us[order]
    same = np.flatnonzero(time[1:] == time[:-1])
    if len(same):
        positions = np.union1d(same, same + 1)
        tied = order[positions]
        keys = (
            _ranks(rows.text[tied]),  # one tick read twice is adjacent
            rows.sequence[tied],
            _source_keys(rows.source[tied]),
            rows.receive_us[tied],
            np.where(rows.kind[tied] == INTEGER_ID, rows.trade_id[tied], NO_ORDER_ID),
            rows.time_us[tied],
        )
        order[positions] = tied[np.lexsort(keys)]
    return order


def _drop_duplicates(rows: Rows) -> Rows:
    """Drop rows with the same position in the total order as the previous one."""
    same = np.ones(len(rows) - 1, dtype=bool)
    for column in (rows.time_us, rows.sequence, rows.receive_us, rows.kind, rows.trade_id):
        same &= column[1:] == column[:-1]
    if same.any():
        for texts in (rows.source, rows.text, rows.venue):
            same &= (texts[1:] == texts[:-1]).astype(bool)
    return rows.at(np.append(True, ~same)) if same.any() else rows


def _each_trade_once(rows: Rows) -> tuple[Rows, Int64s]:
    ids = np.flatnonzero(rows.kind != NO_ID)
    ended_us = np.zeros(len(rows), dtype=np.int64)
    if (rows.kind != TEXT_ID).all() and (np.diff(rows.trade_id[ids]) > 0).all():
        return rows, ended_us
    keys = (
        _ranks(rows.venue[ids]),
        _ranks(rows.text[ids]),
        rows.trade_id[ids],
        rows.kind[ids],
        rows.time_us[ids] // MINUTE_US,
    )
    ending = (rows.flags & ENDING) != 0
    # Stable, so the first print of each trade is the first in the total order.
    by_trade = np.lexsort((ending[ids], *keys))
    is_same = np.ones(max(len(ids) - 1, 0), dtype=bool)
    for key in keys:
        ordered = key[by_trade]
        is_same &= ordered[1:] == ordered[:-1]
    if not is_same.any():
        return rows, ended_us
    keep = np.ones(len(rows), dtype=bool)
    keep[ids[by_trade[1:][is_same]]] = False
    if ending.any():
        keep |= ending
        trade = np.append(0, np.cumsum(~is_same))
        for number in np.unique(trade[ending[ids[by_trade]]]).tolist():
            versions = ids[by_trade[trade == number]]
            _end(rows, versions[keep[versions]], ended_us)
    return rows.at(keep), ended_us[keep]


def _end(rows: Rows, versions: NDArray[np.intp], ended_us: Int64s) -> None:
    """Write when each row of a trade was ended by the next: the print, then its busts."""
    is_end = (rows.flags[versions] & ENDING) != 0
    keys = (
        rows.sequence[versions],
        _source_keys(rows.source[versions]),
        rows.receive_us[versions],
        is_end,
    )
    in_order = versions[np.lexsort(keys)]
    ended_us[in_order[:-1]] = rows.receive_us[in_order[1:]]


def _ranks(texts: Texts) -> Int64s:
    """Return integers that compare like the texts; mostly all texts are equal."""
    if not len(texts) or (texts == texts[0]).all():
        return np.zeros(len(texts), dtype=np.int64)
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def _source_keys(sources: Texts) -> Int64s:
    return np.array([source_key(source) for source in sources.tolist()], dtype=np.int64)


def _at_one_scale(mantissa: Mantissas, scale: NDArray[np.int16]) -> tuple[NDArray[Any], int]:
    if not len(scale):
        return mantissa, 0
    common = int(scale.max())
    if common == scale.min():
        return mantissa, common
    result: NDArray[Any] = mantissa
    for other in np.unique(scale).tolist():
        if other == common:
            continue
        mask = scale == other
        factor = 10 ** (common - other)
        largest = max(int(result[mask].max()), -int(result[mask].min()))
        if result.dtype != object and (factor > INT64_MAX or largest * factor > INT64_MAX):
            result = result.astype(object)
        elif result is mantissa:
            result = mantissa.copy()
        result[mask] *= factor
    return result, common
