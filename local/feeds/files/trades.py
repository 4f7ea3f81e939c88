"""Recorded tables as trades: text columns in the order of an input line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.feeds.files.blocks import RawTable, content_of
from local.feeds.files.event_kinds import names_trade, tell_trades
from local.feeds.files.layouts import FIELDS, Choice, Layout
from local.feeds.files.opening import Part, Progress, parts_of, reported
from local.feeds.files.tables import read_tables
from local.feeds.files.trade_times import TradeTimes
from local.feeds.tick import Tick
from shared.inputs.objects.fields import Field
from shared.inputs.objects.trades import ABSENT, TAPES, UNDEFINED_PRICES, side_of
from shared.market.timestamps import parse_us, scaled_us

_COMMA: Final = r"^[+-]?(\d+,\d+|\d{1,3}(\.\d{3})+,\d+)$"
_THOUSANDS: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_NUMBER: Final = r"^[+-]?\d*[.,][\d.,]*([eE][+-]?\d+)?$"
"""Numbers with a decimal comma, where it could separate thousands, and with a comma or point."""
_TEXTS: Final = (pa.string(), pa.large_string(), pa.string_view())
_NEEDS_QUOTES: Final = (b",", b'"', b"\r", b"\n")


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one part. `columns`: FIELDS -> text, empty where a trade lacks the value.

    `part`: the file (and member); `identity`: a digest of its content; `rows`: their numbers in it.
    """

    part: str
    identity: str
    rows: NDArray[np.int64]
    columns: dict[str, pa.ChunkedArray]

    def __len__(self) -> int:
        return len(self.columns["price"])

    def lines(self) -> list[bytes]:
        """Return each trade as a line SYMBOL,PRICE,SIZE,TIME,SIDE,TRADE_ID,CONDITIONS."""
        columns = [_quoted(self.columns[name]) for name in FIELDS]
        while len(columns) > 2 and pc.all(pc.equal(columns[-1], "")).as_py():
            columns.pop()
        joined = pc.binary_join_element_wise(*columns, ",")
        return cast(list[bytes], joined.cast(pa.binary()).to_pylist())

    def ticks(self) -> Iterator[Tick]:
        """Yield each trade; one with an invalid time gets none."""
        names = ("symbol", "price", "size", "side", "trade_id", "conditions")
        columns = (self.columns[name].to_pylist() for name in names)
        times = self.times_us().tolist()
        for symbol, price, size, side, trade_id, codes, time_us in zip(
            *columns, times, strict=True
        ):
            time_ms = None if time_us < 0 else time_us // 1000
            yield Tick(symbol, price, size, time_ms, side, trade_id, codes)

    def with_ids(self) -> Trades:
        """Return the trades, with generated ids for those without: content digest and row.

        So a file that is sent twice counts once, like a trade with an id.
        """
        ids = self.columns["trade_id"]
        missing = pc.equal(ids, "")
        if not pc.any(missing).as_py():
            return self
        generated = pc.binary_join_element_wise(
            self.identity, pa.array(self.rows).cast(pa.string()), "."
        )
        return replace(
            self, columns={**self.columns, "trade_id": pc.if_else(missing, generated, ids)}
        )

    def times_us(self) -> NDArray[np.int64]:
        """Return the event times, microseconds since 1970 UTC; -1 if missing or invalid."""
        column = self.columns["time"].combine_chunks()
        times = np.full(len(column), -1, dtype=np.int64)
        digits = pc.match_substring_regex(column, r"^\d{9,19}$").to_numpy(zero_copy_only=False)
        numbers = column.filter(pa.array(digits)).cast(pa.int64()).to_numpy()
        us, is_valid = scaled_us(numbers)
        times[digits] = np.where(is_valid, us, -1)
        for row in np.flatnonzero(times < 0).tolist():
            with suppress(ValueError):  # the pipeline rejects it with a reason
                times[row] = parse_us(column[row].as_py())
        return times


def read_trades(
    paths: Sequence[Path], choice: Choice, progress: Progress
) -> Iterator[tuple[Layout, Trades]]:
    """Yield the trades of files, with the detected layouts. Raises FileError."""
    for part in parts_of(paths, progress):
        with reported(part.path):
            yield from _read(part, choice, progress)


def _read(part: Part, choice: Choice, progress: Progress) -> Iterator[tuple[Layout, Trades]]:
    layout, tables = read_tables(part, choice, progress)
    times = TradeTimes(part, layout, choice.zone)
    if (first := next(tables, None)) is None:
        return
    layout = _with_kinds(layout, first.table)
    has_comma = _has_decimal_comma(layout, first.table)
    for raw in chain([first], tables):
        trades = _trades(part, layout, raw, times, progress, has_comma=has_comma)
        if len(trades):
            notes = times.note, "its numbers have a decimal comma" if has_comma else ""
            yield replace(layout, notation=", ".join(filter(None, notes))), trades


def _with_kinds(layout: Layout, table: pa.Table) -> Layout:
    """Return a layout whose kinds are the columns of text that name trades in the first block."""
    kinds = []
    for each in layout.kinds:
        type_ = table.schema.field(each).type
        type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
        if type_ in _TEXTS and tell_trades(_texts(table[each]).unique().to_pylist()):
            kinds.append(each)
    unread = [each for each in layout.unread if each not in kinds]
    return replace(layout, kinds=kinds, unread=unread)


def _trades(
    part: Part,
    layout: Layout,
    raw: RawTable,
    times: TradeTimes,
    progress: Progress,
    *,
    has_comma: bool,
) -> Trades:
    table = raw.table
    numbers = np.arange(raw.first_row, raw.first_row + table.num_rows)
    for column in (*layout.left_out, *layout.kinds):
        values = _texts(table[column])
        if (pattern := layout.left_out.get(column)) is None:
            kinds = filter(None, values.unique().to_pylist())
            others = [kind for kind in kinds if not names_trade(kind)]
            is_other = pc.is_in(values, pa.array(others, pa.string()))
        else:
            is_other = pc.match_substring_regex(values, pattern)
        for each in pc.value_counts(values.filter(is_other)).to_pylist():
            reason = f"rows whose {column} is {each['values'] or 'empty'}"
            progress.skipped[reason] += each["counts"]
        is_trade = pc.invert(is_other)
        table, numbers = table.filter(is_trade), numbers[is_trade.to_numpy()]
    rows = table.num_rows
    empty = pa.chunked_array([pa.array([""] * rows, type=pa.string())])
    columns = {
        name: _texts(times.in_zone(table[layout.columns[name]]))
        if name in layout.columns
        else empty
        for name in FIELDS
    }
    if layout.mid_of is not None:
        columns["price"] = _mids(*(_texts(table[each]) for each in layout.mid_of))
    if layout.symbol is not None:
        columns["symbol"] = pa.chunked_array([pa.array([layout.symbol] * rows, type=pa.string())])
    if layout.side is not Field.SIDE:
        columns["side"] = _sides(columns["side"], layout.side)
    if has_comma:
        columns |= {each: _pointed(columns[each]) for each in ("price", "size")}
    if layout.price_decimals:
        columns["price"] = _fixed_point(columns["price"], layout.price_decimals)
    if layout.nano_prices and not _has_point(table[layout.columns["price"]].type):
        prices = columns["price"]
        is_nano = pc.match_substring_regex(prices, layout.nano_prices)
        nano = pc.if_else(is_nano, _fixed_point(prices, 9), prices)
        undefined = pc.is_in(prices, pa.array(UNDEFINED_PRICES))
        columns["price"] = pc.if_else(undefined, "", nano)
    codes = columns["conditions"]
    if layout.conditions_of or layout.tape:
        codes = pc.utf8_trim_whitespace(pc.replace_substring_regex(codes, r"[\[\]\s,'\"]+", " "))
    if layout.conditions_of:
        qualified = pc.binary_join_element_wise(layout.conditions_of, codes, ":")
        columns["conditions"] = pc.if_else(pc.equal(codes, ""), "", qualified)
    if layout.tape:
        columns["conditions"] = _of_tapes(codes, _texts(table[layout.tape]))
    for column in reversed(layout.ids_within):
        columns["trade_id"] = _within(_texts(table[column]), columns["trade_id"])
    dates = _texts(table[layout.date]) if layout.date else None
    columns["time"] = times.read(columns["time"], dates)
    return Trades(str(part), part.identity, numbers, columns)


def _of_tapes(codes: pa.ChunkedArray, tapes: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return conditions with the tape of each: `utp:@ utp:I`."""
    for letter, prefix in TAPES.items():
        of_tape = pc.replace_substring_regex(codes, r"([^ ]+)", rf"{prefix}\1")
        codes = pc.if_else(pc.equal(tapes, letter), of_tape, codes)
    return codes


def _within(scopes: pa.ChunkedArray, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ids prefixed by their scope, as `11:7`; scope 0 is none."""
    no_id = pc.is_in(pc.utf8_lower(ids), pa.array(["", *ABSENT]))
    alone = pc.or_(no_id, pc.is_in(pc.utf8_lower(scopes), pa.array(["", "0", *ABSENT])))
    return pc.if_else(alone, ids, pc.binary_join_element_wise(scopes, ids, ":"))


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text: floats as the shortest decimal that round-trips."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ns", tz=kind.tz)).cast(pa.int64())
    texts = pc.fill_null(column.cast(pa.string()), "")
    if _has_point(kind):  # 1e-7, and nan for none
        texts = pc.if_else(pc.equal(texts, "nan"), "", texts)
        plain = (format(Decimal(t), "f") if "e" in t.lower() else t for t in texts.to_pylist())
        return pa.chunked_array([pa.array(plain, type=pa.string())])
    return pc.utf8_trim_whitespace(texts)


def _has_point(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _has_decimal_comma(layout: Layout, table: pa.Table) -> bool:
    """Return whether prices and sizes of the first block have a decimal comma for certain."""
    has_proof = False
    for column in (layout.columns[each] for each in ("price", "size") if each in layout.columns):
        cells = _texts(table[column])
        cells = cells.filter(pc.match_substring_regex(cells, _NUMBER))
        is_comma = pc.match_substring_regex(cells, _COMMA)
        if pc.any(pc.invert(is_comma)).as_py():
            return False
        has_proof |= pc.any(pc.invert(pc.match_substring_regex(cells, _THOUSANDS))).as_py() is True
    return has_proof


def _pointed(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers with a point for their decimal comma.

    One with points that may separate thousands gets commas, so that it is a reject.
    """
    pointed = pc.replace_substring(pc.replace_substring(numbers, ".", ""), ",", ".")
    is_comma = pc.match_substring_regex(numbers, _COMMA)
    is_grouped = pc.match_substring_regex(numbers, r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$")
    others = pc.if_else(is_grouped, pc.replace_substring(numbers, ".", ","), numbers)
    return pc.if_else(is_comma, pointed, others)


def _mids(bids: pa.ChunkedArray, asks: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the exact mid; no price if a side is missing."""
    texts = []
    for bid, ask in zip(bids.to_pylist(), asks.to_pylist(), strict=True):
        try:
            texts.append(format((Decimal(bid) + Decimal(ask)) / 2, "f"))
        except InvalidOperation:
            texts.append("")
    return pa.chunked_array([pa.array(texts, type=pa.string())])


def _sides(column: pa.ChunkedArray, field: Field) -> pa.ChunkedArray:
    chunk = column.combine_chunks().dictionary_encode()
    sides = [side_of(field, each) for each in chunk.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(sides, type=pa.string()).take(chunk.indices)])


def _fixed_point(column: pa.ChunkedArray, decimals: int) -> pa.ChunkedArray:
    """Insert the decimal point: 14525000000000 with 9 decimals is 14525.000000000."""
    sign = pc.if_else(pc.starts_with(column, "-"), "-", "")
    digits = pc.replace_substring_regex(column, "^-", "")
    padded = pc.utf8_lpad(digits, decimals + 1, "0")
    pointed = pc.replace_substring_regex(padded, rf"(\d{{{decimals}}})$", r".\1")
    signed = pc.binary_join_element_wise(sign, pointed, "")
    return pc.if_else(pc.match_substring_regex(digits, r"^\d+$"), signed, column)


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    content = b"".join(map(content_of, column.chunks))
    if not any(letter in content for letter in _NEEDS_QUOTES):
        return column
    texts = [
        '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text
        for text in column.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, type=pa.string())])
