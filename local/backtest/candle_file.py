"""Candle files as the columns of detectors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from local.backtest.candle_columns import (
    COINBASE_ROW,
    ROWS,
    ColumnPositions,
    columns_of,
    number_of,
)
from local.backtest.candle_rows import CandleRows, Row, rows_of
from local.errors import UsageError
from local.feeds.candles import CandleRow
from local.feeds.files.opening import Progress, parts_of
from local.feeds.files.times import ABSENT, LOOK, Times
from shared.analysis.candle_series import Candles

MAX_CANDLES: Final = 5_000_000
_HEADERS: Final = 3
"""Maximum header rows: yfinance writes a line of tickers and one of the index."""
_DATABENTO: Final = {"ts_event", "rtype", "publisher_id", "instrument_id"}


class InputError(Exception):
    """A file has no usable candles; the message names the row and the error."""


def read_candles(path: Path, symbol: str | None = None) -> tuple[Candles, list[str]] | None:
    """Read a file of candles; return them, and notes. None: the file holds no candles.

    CSV (comma, semicolon, tab or bar), JSON, Parquet or Arrow, also packed (.gz, .zst, .zip). With
    names of columns: a time, open, high, low, close and, where there is one, volume, in any order
    and letter case, as Yahoo, MetaTrader, TradingView, Stooq, Polygon, Nasdaq and others write
    them; without names as Binance, Kraken, freqtrade, MetaTrader and Coinbase do. `symbol`: which,
    of a file of several. Rows without prices (days without trades) are left out, rows are sorted by
    time, one that stands twice counts once; the notes say so. Times are UTC where they do not say.
    Raises InputError, FileError, UsageError.
    """
    parts = parts_of([path], Progress())
    part = next(parts)
    candle_rows = rows_of(part)
    table = None if candle_rows is None else _table(str(part), candle_rows)
    if candle_rows is None or table is None:
        return None
    if text := candle_rows.thousandths:
        table.notes.append(f"{text} is read with a decimal comma, as {text.replace(',', '.')}")
    read = _read(str(part), table, symbol)
    if next(parts, None) is not None:
        raise InputError(f"{path}: holds several files: unpack it, and name one")
    return read


def checked(rows: Sequence[CandleRow], notes: list[str]) -> tuple[Candles, list[str]]:
    """Return candles of a history or of ticks, and notes as `read_candles`. Raises InputError."""
    if len(rows) > MAX_CANDLES:
        raise InputError(f"more than {MAX_CANDLES:,} candles")
    starts, values = [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=float)
    numbers = np.arange(1, len(rows) + 1)
    return _candles("the candles", np.array(starts), values, numbers, notes), notes


@dataclass
class _Table:
    """Rows with known columns. `price_unit`: prices are divided by it."""

    positions: ColumnPositions
    rows: Iterator[tuple[int, Row]]
    decimal_comma: bool
    notes: list[str] = field(default_factory=list)
    price_unit: float = 1


def _table(name: str, source: CandleRows) -> _Table | None:
    """Find the columns by name, or from the first rows."""
    first = list(itertools.islice(source.rows, LOOK))
    rows = itertools.chain(first, source.rows)
    if not source.names:
        return _without_names(source, first, rows)
    positions = columns_of(source.names)
    if positions is None:
        return None
    if not positions.time:
        raise InputError(f"{name}: its header names no time")
    later = next((n for n, (_, row) in enumerate(first) if not _is_header(row, positions)), 0)
    below = itertools.islice(rows, min(later, _HEADERS), None)
    table = _Table(positions, below, source.decimal_comma)
    prices = (row[at] for _, row in first for at in positions.prices if at < len(row))
    if set(source.names) >= _DATABENTO and not any("." in each for each in prices):
        table.price_unit = 1e9
        table.notes.append("its prices are integers of 1e-9, as Databento's")
    return table


def _is_header(row: Row, positions: ColumnPositions) -> bool:
    """Whether a row has tickers or the index name, like those below yfinance's header."""
    cells = [row[at].strip() for at in (*positions.time, *positions.prices) if at < len(row)]
    return not any(
        any(c.isdigit() for c in cell) or (cell and cell.lower() in ABSENT) for cell in cells
    )


def _without_names(
    source: CandleRows, first: Sequence[tuple[int, Row]], rows: Iterator[tuple[int, Row]]
) -> _Table | None:
    """Choose the order of columns in which every first row is a candle."""
    width = min(len(row) for _, row in first if row)
    for names in ROWS:
        positions = columns_of(names[:width])
        if positions and all(_is_candle(row, positions, source) for _, row in first if row):
            table = _Table(positions, rows, source.decimal_comma)
            if names is COINBASE_ROW:
                table.notes.append("its columns are time, low, high, open, close, as Coinbase's")
            return table
    return None


def _is_candle(row: Row, positions: ColumnPositions, source: CandleRows) -> bool:
    try:
        text = _time_text(row, positions)
        Times([text]).us(text)
        prices = [number_of(row[at], decimal_comma=source.decimal_comma) for at in positions.prices]
    except (ValueError, IndexError):
        return False
    open_, high, low, close = prices
    return 0 < low <= min(open_, close) and max(open_, close) <= high


def _time_text(row: Row, positions: ColumnPositions) -> str:
    return " ".join(row[at].strip() for at in positions.time)


def _read(name: str, table: _Table, symbol: str | None) -> tuple[Candles, list[str]]:
    positions, notes = table.positions, table.notes
    rows = _of_symbol(name, table.rows, positions.symbol, symbol)
    numbers: list[int] = []
    starts: list[int] = []
    values: list[list[float]] = []
    empty = 0
    first = list(itertools.islice(rows, LOOK))
    try:
        texts = [_time_text(row, positions) for _, row in first]
    except IndexError:
        texts = []
    times = Times(texts, positions.unit_us)
    for number, row in itertools.chain(first, rows):
        try:
            cells = [row[at].strip() for at in positions.prices]
            if all(cell.lower() in ABSENT for cell in cells):
                empty += 1
                continue
            starts.append(times.us(_time_text(row, positions)))
            prices = [
                number_of(cell, decimal_comma=table.decimal_comma) / table.price_unit
                for cell in cells
            ]
            values.append([*prices, _volume(row, table)])
            numbers.append(number)
        except (ValueError, IndexError) as error:
            reason = "is cut off" if isinstance(error, IndexError) else str(error)
            raise InputError(f"{name}: row {number}: {reason}") from None
        if len(starts) > MAX_CANDLES:
            raise InputError(f"{name}: more than {MAX_CANDLES:,} candles")
    if not starts:
        raise InputError(f"{name}: has no candles{f' of {symbol}' if symbol else ''}")
    if empty:
        notes.append(f"{empty} rows without prices were left out")
    if times.note:
        notes.append(times.note)
    return _candles(name, np.array(starts), np.array(values), np.array(numbers), notes), notes


def _of_symbol(
    name: str, rows: Iterator[tuple[int, Row]], at: int | None, symbol: str | None
) -> Iterator[tuple[int, Row]]:
    """Yield the nonblank rows of a symbol. Raises UsageError: the file has several."""
    if at is None:
        yield from ((number, row) for number, row in rows if any(row))
        return
    seen = symbol
    for number, row in rows:
        value = row[at].strip() if at < len(row) else ""
        if not value or value == (seen := seen or value):
            if any(row):
                yield number, row
        elif symbol is None:
            raise UsageError(f"{name} holds {seen}, {value}: choose one with --symbol")


def _volume(row: Row, table: _Table) -> float:
    """Return the first nonzero volume: MetaTrader counts ticks if it has no volume."""
    cells = (row[at].strip() for at in table.positions.volumes if at < len(row))
    numbers = (
        number_of(cell, decimal_comma=table.decimal_comma)
        for cell in cells
        if cell.lower() not in ABSENT
    )
    return next((each for each in numbers if each), 0.0)


def _candles(
    name: str, start_us: np.ndarray, table: np.ndarray, number: np.ndarray, notes: list[str]
) -> Candles:
    """Sort the rows by time, drop duplicates, and validate."""
    if (start_us[1:] < start_us[:-1]).any():
        notes.append("the rows were sorted by time")
        order = np.argsort(start_us, kind="stable")
        start_us, table, number = start_us[order], table[order], number[order]
    repeated = np.flatnonzero(start_us[1:] == start_us[:-1])
    for at in repeated.tolist():
        if (table[at] != table[at + 1]).any():
            raise InputError(
                f"{name}: rows {number[at]} and {number[at + 1]} are candles of one time, and"
                " differ: leave one of them out"
            )
    if len(repeated):
        notes.append(f"{len(repeated)} rows stand twice and count once")
        start_us, table = np.delete(start_us, repeated), np.delete(table, repeated, axis=0)
        number = np.delete(number, repeated)
    _check(name, table, number)
    return Candles(start_us, *table.T.copy())


def _check(name: str, table: np.ndarray, number: np.ndarray) -> None:
    """Raise InputError for the first invalid row."""
    open_, high, low, close, volume = table.T
    finite = np.isfinite(table).all(axis=1)
    with np.errstate(invalid="ignore"):
        is_whole = (
            (low > 0) & (low <= np.minimum(open_, close)) & (high >= np.maximum(open_, close))
        )
        invalid = np.flatnonzero(~(finite & is_whole & (volume >= 0)))
    if not len(invalid):
        return
    at = int(invalid[0])
    if not finite[at]:
        reason = "a price or volume is not there"
    elif is_whole[at]:
        reason = "its volume is negative"
    else:
        reason = f"its prices are not 0 < low <= open, close <= high: {table[at, :4].tolist()}"
    suffix = f" ({len(invalid)} such rows)" if len(invalid) > 1 else ""
    raise InputError(f"{name}: row {number[at]}: {reason}{suffix}")
