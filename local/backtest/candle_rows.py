"""Rows of candle files as text, from CSV, JSON, Parquet or Arrow."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet

from local.backtest.candle_columns import columns_of
from local.feeds.files.errors import FileError
from local.feeds.files.opening import Part
from local.feeds.files.tables import whole

Row = Sequence[str]

MAX_BYTES: Final = 1 << 29
"""Size limit of JSON, which is read as a whole."""
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d{1,3}(\.?\d{3})*,\d+")
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_MUST_BE_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,?\d{3})*,\d{3}(\.\d+|,\d{3})")
_POINT: Final = re.compile(r"[+-]?\d*\.\d+")
_LOOK: Final = 40
"""Lines searched for the header."""
_LEAST: Final = 5
"""Minimum columns of a candle: a time and four prices."""
_HIGH: Final = re.compile(rb'"(h|high|highPrice|max)"\s*:', re.IGNORECASE)
_FIRST_ROW: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{[^\[]*)?\[\s*\[([^\[\]]*)\]")
_ROWS_OF: Final = ("candles", "data", "results", "bars", "values", "list")
"""Keys under which APIs return rows."""


@dataclass(frozen=True)
class CandleRows:
    """`names` of the columns, none where there is no header; `rows`, numbered from 1.

    `thousandths`: a number read with a decimal comma that could be one of thousands.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[int, Row]]
    decimal_comma: bool = False
    thousandths: str = ""


def rows_of(part: Part) -> CandleRows | None:
    """Return the rows of a part; None if it does not look like candles. Raises FileError."""
    head = part.head()
    if head.startswith(b"PAR1"):
        parquet = pyarrow.parquet.ParquetFile(whole(part))
        return _of_table(parquet.schema_arrow.names, parquet.read)
    if head.startswith(b"ARROW1"):
        arrow = pa.ipc.open_file(whole(part))
        return _of_table(arrow.schema.names, arrow.read_all)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return _of_json(part) if _HIGH.search(head) or _is_row(_FIRST_ROW.match(head)) else None
    return of_lines(_lines(part))


def _lines(part: Part) -> Iterator[str]:
    text = io.TextIOWrapper(part.stream, "utf-8-sig", errors="replace", newline="")
    try:
        yield from text
    finally:
        if not part.stream.closed:
            text.detach()  # whoever opened the stream closes it


def of_lines(lines: Iterable[str]) -> CandleRows | None:
    """Return CSV rows; skip lines before the first that is as wide as a candle."""
    source = iter(lines)
    looked = list(itertools.islice(source, _LOOK))
    delimiter = max("\t;,|", key=lambda each: sorted(_widths(looked, each))[-1:])
    widths = _widths(looked, delimiter)
    first = next((n for n, width in enumerate(widths) if width >= _LEAST), None)
    if first is None:
        return None
    sample = csv.reader(looked[first:], delimiter=delimiter)
    rows = csv.reader(itertools.chain(looked[first:], source), delimiter=delimiter)
    header = next(rows)
    cells = [each.strip() for row in sample for each in row[1:]]
    comma = delimiter != "," and _has_decimal_comma(cells)
    commas = [each for each in cells if comma and _DECIMAL_COMMA.fullmatch(each)]
    example = commas[0] if commas and all(map(_GROUPED.fullmatch, commas)) else ""
    if all(_begins_like_a_number(each) for each in header[:_LEAST]):
        return CandleRows((), enumerate(itertools.chain([header], rows), 1), comma, example)
    return CandleRows(tuple(header), enumerate(rows, 1), comma, example)


def _has_decimal_comma(cells: Sequence[str]) -> bool:
    """Whether a comma is the decimal one: 12,345 proves it only where no cell has a point."""
    if any(map(_MUST_BE_GROUPED.fullmatch, cells)):
        return False
    commas = [each for each in cells if _DECIMAL_COMMA.fullmatch(each)]
    if all(map(_GROUPED.fullmatch, commas)):
        return bool(commas) and not any(map(_POINT.fullmatch, cells))
    return True


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    return [len(row) for row in csv.reader(lines, delimiter=delimiter)]


def _begins_like_a_number(text: str) -> bool:
    return text.strip().lstrip("+-$")[:1].isdigit()


def _of_table(names: Sequence[str], read: Callable[[], pa.Table]) -> CandleRows | None:
    if columns_of(names) is None:
        return None
    columns = [[_text(each) for each in column.to_pylist()] for column in read().columns]
    return CandleRows(tuple(names), enumerate(zip(*columns, strict=True), 1))


def _is_row(match: re.Match[bytes] | None) -> bool:
    """Whether the first row of an array has only numbers, which no trade has."""
    cells = match[1].replace(b'"', b"").split(b",") if match else []
    return len(cells) >= _LEAST and all(_begins_like_a_number(each.decode()) for each in cells)


def _of_json(part: Part) -> CandleRows | None:
    """Read an array of rows or objects, an object per line, or an object of columns or rows."""
    content = part.stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileError(f"{part}: has more than {MAX_BYTES:,} bytes: cut it, or write CSV")
    try:
        parsed = json.loads(content, parse_float=str, parse_int=str)
    except ValueError:
        try:
            lines = (json.loads(line, parse_float=str) for line in content.splitlines() if line)
            parsed = list(lines)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{part}: is not JSON: {error}") from None
    except RecursionError as error:
        raise FileError(f"{part}: is not JSON: {error}") from None
    if isinstance(parsed, Mapping):
        parsed = parsed["result"] if isinstance(parsed.get("result"), Mapping) else parsed
        nested = next((parsed[key] for key in _ROWS_OF if isinstance(parsed.get(key), list)), None)
        columns = {name: each for name, each in parsed.items() if isinstance(each, list)}
        if nested is None and len(columns) < _LEAST:
            return None
        turned = zip(*columns.values(), strict=False)
        parsed = nested or [dict(zip(columns, row, strict=False)) for row in turned]
    if not isinstance(parsed, list) or not parsed:
        return None
    if isinstance(parsed[0], Mapping):
        names = tuple(dict.fromkeys(itertools.chain.from_iterable(parsed[:_LOOK])))
        rows = ([_text(each.get(name)) for name in names] for each in parsed)
        return CandleRows(names, enumerate(rows, 1))
    if isinstance(parsed[0], list) and len(parsed[0]) >= _LEAST:
        return CandleRows((), enumerate(([_text(each) for each in row] for row in parsed), 1))
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
