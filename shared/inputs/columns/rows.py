"""Parsed ticks and quotes in columns, before they are ordered, and rejects; of all parsers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from shared.inputs.text.line import Line
from shared.market.decimals import INT64_MAX
from shared.market.instruments import NO_MARKET, Market
from shared.wire.ticks import Bytes8, Int64s, Mantissas, Texts


class Rejected(NamedTuple):
    """A rejected line or message, its position, and the reason."""

    payload: int
    line: int
    original: bytes
    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n ticks, unordered. `symbol` is an index into `names`; int64[n] unless noted.

    price = mantissa x 10^-price_scale, size likewise: object[n] of Python integers if one is beyond
    64 bits. `time_us` is -1 if the sender gave none. `text` is object[n] or None, `flags` uint8[n]
    or None if no row has one; `conditions`, object[n] or None, is their source. `payload` and
    `line`: position in the raw batch. `markets`: the exchange's name of each of `names`, empty if
    all were sent as they are.
    """

    names: tuple[str, ...]
    symbol: Int64s
    price: Mantissas
    price_scale: Int64s
    size: Mantissas
    size_scale: Int64s
    time_us: Int64s
    side: Bytes8
    id_kind: Bytes8
    trade_id: Int64s
    text: Texts | None
    payload: Int64s
    line: Int64s
    markets: tuple[Market, ...] = ()
    flags: Bytes8 | None = None
    conditions: Texts | None = None

    def __len__(self) -> int:
        return len(self.symbol)

    def at(self, rows: Int64s) -> Rows:
        """Return some of the rows."""
        columns: dict[str, Any] = {
            name: value[rows]
            for name in (each.name for each in fields(self))
            if isinstance(value := getattr(self, name), np.ndarray)
        }
        return replace(self, **columns)


def no_rows() -> Rows:
    """Return none."""
    empty, codes = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    return Rows(
        (), empty, empty, empty, empty, empty, empty, codes, codes, empty, None, empty, empty
    )


def from_lines(parsed: Sequence[Line], payload: Int64s, line: Int64s) -> Rows:
    """Return rows of lines parsed one by one."""
    names = tuple(dict.fromkeys(p.symbol for p in parsed))
    index = {name: i for i, name in enumerate(names)}

    def column(values: list[int]) -> Int64s:
        return np.array(values, dtype=np.int64)

    text: Texts | None = None
    if any(p.trade_id_text for p in parsed):
        text = np.array([p.trade_id_text for p in parsed], dtype=object)
    return Rows(
        names,
        column([index[p.symbol] for p in parsed]),
        _mantissas([p.price.mantissa for p in parsed]),
        column([p.price.scale for p in parsed]),
        _mantissas([p.size.mantissa for p in parsed]),
        column([p.size.scale for p in parsed]),
        column([-1 if p.time_us is None else p.time_us for p in parsed]),
        np.array([p.side for p in parsed], dtype=np.uint8),
        np.array([p.trade_id_kind for p in parsed], dtype=np.uint8),
        column([p.trade_id for p in parsed]),
        text,
        payload,
        line,
        conditions=np.array([p.conditions for p in parsed], dtype=object)
        if any(p.conditions for p in parsed)
        else None,
    )


def joined(a: Rows, b: Rows) -> Rows:
    """Return the rows of both."""
    if not len(b):
        return a
    if not len(a):
        return b
    names = tuple(dict.fromkeys(a.names + b.names))
    index = {name: i for i, name in enumerate(names)}
    renamed = np.array([index[name] for name in b.names], dtype=np.int64)
    b = replace(b, symbol=renamed[b.symbol])
    markets = dict(zip(b.names, b.markets, strict=False)) | dict(
        zip(a.names, a.markets, strict=False)
    )
    columns: dict[str, Any] = {}
    for name in (each.name for each in fields(Rows) if each.name not in ("names", "markets")):
        if getattr(a, name) is not None or getattr(b, name) is not None:
            columns[name] = np.concatenate([_column(a, name), _column(b, name)])
    return replace(
        a,
        names=names,
        markets=tuple(markets.get(name, NO_MARKET) for name in names) if markets else (),
        **columns,
    )


def _column(rows: Rows, name: str) -> Any:
    """Return a column, filled if no row has a value."""
    if name == "flags":
        return flags_of(rows)
    column = getattr(rows, name)
    return np.full(len(rows), "", dtype=object) if column is None else column


def flags_of(rows: Rows) -> Bytes8:
    """Return the flags of each row, uint8[n]."""
    return np.zeros(len(rows), dtype=np.uint8) if rows.flags is None else rows.flags


def _mantissas(values: list[int]) -> Mantissas:
    """Return them as int64, or as Python integers if one is beyond 64 bits."""
    wide = any(abs(value) > INT64_MAX for value in values)
    return np.array(values, dtype=object if wide else np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class QuoteRows:
    """n quotes, unordered; int64[n]. `symbol` is an index into `names`, as is `markets`.

    bid = mantissa x 10^-price_scale, ask likewise, sizes with `size_scale`; a size is NOT_GIVEN if
    the feed gives none. `time_us` is -1 if the feed gives none, `update_id` NOT_GIVEN. `payload`
    and `line`: position in the raw batch.
    """

    names: tuple[str, ...]
    markets: tuple[Market, ...]
    symbol: Int64s
    bid: Int64s
    ask: Int64s
    price_scale: Int64s
    bid_size: Int64s
    ask_size: Int64s
    size_scale: Int64s
    time_us: Int64s
    update_id: Int64s
    payload: Int64s
    line: Int64s

    def __len__(self) -> int:
        return len(self.symbol)


def no_quotes() -> QuoteRows:
    """Return none."""
    empty = np.zeros(0, dtype=np.int64)
    return QuoteRows((), (), *(empty,) * 11)
