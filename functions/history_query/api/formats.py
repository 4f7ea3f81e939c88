"""Response formats: JSON, NDJSON, CSV, Arrow, and other programs' tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

import orjson

from functions.history_query.api.parameters import ParameterError, read_choice
from shared.market.decimals import EXACT

Row = Mapping[str, Any]

MEDIA_TYPES: Final = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "lightweight-charts": "application/json",
    "influx": "text/plain; charset=utf-8",
}
BINARY: Final = ("parquet", "arrow")
TABLES: Final = ("json", "ndjson", "csv", *BINARY)
_ACCEPTED: Final = {
    media_type.partition(";")[0]: name for name, media_type in MEDIA_TYPES.items() if name in TABLES
}
_PRICES: Final = {"o": "open", "h": "high", "l": "low", "c": "close"}
_AT_ONCE: Final = 1_000
_FEW: Final = 2_001
"""Fewer rows are no matter as objects; more are much memory."""
_DECIMALS: Final = frozenset((*"ohlcv", "qv", "vw", "bv", "sv", "ebv", "esv", "d", "cd"))
_WIDE: Final = Context(prec=EXACT.prec)
_FIELDS: Final = {**_PRICES, "v": "volume", "bv": "buy_volume", "sv": "sell_volume"}


@dataclass(frozen=True, slots=True)
class Content:
    """Content of a response. `envelope`: JSON's fields beside the rows, which it has as `name`.

    `table`: an Arrow table in place of rows, for the formats of BINARY. `columns`: the columns of a
    table without rows.
    """

    name: str
    envelope: Mapping[str, Any]
    rows: Iterable[Row]
    next: str | None
    table: Any = None
    columns: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RowsOnRead(Sequence[Row]):
    """Rows that `rendered` makes of a range of them each time they are read: few are in memory."""

    length: int
    rendered: Callable[[range], Sequence[Row]]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, at: Any) -> Any:
        """Return a row, or those of a slice."""
        chosen = range(self.length)[at]
        if not isinstance(chosen, range):
            return self.rendered(range(chosen, chosen + 1))[0]
        lowest = min(chosen, default=0)
        rows = self.rendered(range(lowest, max(chosen, default=-1) + 1))
        return [rows[each - lowest] for each in chosen]

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, self.length, _AT_ONCE):
            yield from self.rendered(range(first, min(first + _AT_ONCE, self.length)))

    def __reversed__(self) -> Iterator[Row]:
        for end in range(self.length, 0, -_AT_ONCE):
            yield from reversed(self.rendered(range(max(end - _AT_ONCE, 0), end)))


def held(rows: Iterable[Row], *, newest: bool = False) -> Sequence[Row]:
    """Return rows ascending, more than _FEW of them held as JSON; `newest`: they descend."""
    rows, pieces = iter(rows), list[tuple[int, bytes]]()
    while some := [*islice(rows, _FEW)]:
        if newest:
            some.reverse()
        if not pieces and len(some) < _FEW:
            return some
        pieces.append((len(some), orjson.dumps(some)))
    if newest:
        pieces.reverse()
    loads = lru_cache(maxsize=1)(orjson.loads)  # for the next rows of the piece

    def rendered(part: range) -> list[Row]:
        found: list[Row] = []
        end = 0
        for length, piece in pieces:
            begin, end = end, end + length
            if begin < part.stop and part.start < end:
                found += loads(piece)[max(part.start - begin, 0) : part.stop - begin]
        return found

    return RowsOnRead(sum(length for length, _ in pieces), rendered)


def requested_format(query: Mapping[str, str], accept: str, formats: Sequence[str]) -> str:
    """Return the format by parameter, else by the Accept header. Raises ParameterError."""
    if query.get("format"):
        return read_choice(query, "format", formats)
    for part in sorted(accept.split(","), key=_weight, reverse=True):
        accepted = _ACCEPTED.get(part.partition(";")[0].strip().lower())
        if accepted is not None and _weight(part) > 0:
            return accepted
    return "json"


def _weight(part: str) -> float:
    """Return the weight of a part of an Accept header."""
    weight = re.search(r";\s*q=([01](?:\.\d*)?)", part, re.IGNORECASE)
    return float(weight[1]) if weight else 1.0


def rendered(content: Content, name: str) -> bytes:
    """Return the body. Raises ParameterError where the format cannot hold a value."""
    return _RENDERERS[name](content)


def _json(content: Content) -> bytes:
    file, rows, separator = io.BytesIO(), iter(content.rows), b""
    file.write(orjson.dumps({**content.envelope, content.name: []})[:-2])
    while some := [*islice(rows, _AT_ONCE)]:
        file.write(separator + orjson.dumps(some)[1:-1])
        separator = b","
    file.write(b'],"next":' + orjson.dumps(content.next) + b"}")
    return file.getvalue()


def _ndjson(content: Content) -> bytes:
    file = io.BytesIO()  # to hold each row's bytes alone would take some 7 KiB a row
    for row in content.rows:
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return file.getvalue()


def _csv(content: Content) -> bytes:
    rows = iter(content.rows)
    first = [*islice(rows, 1)]
    names = list(first[0]) if first else content.columns
    if not names:
        return b""
    file = io.BytesIO()
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in chain(first, rows):
        writer.writerow({key: _plain(value) for key, value in row.items()})
    text.flush()
    return file.getvalue()


def _plain(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _table(content: Content) -> Any:
    """Return an Arrow table. Without rows it has the columns that they would have."""
    import pyarrow as pa

    if content.table is not None:
        return content.table
    rows, tables = iter(content.rows), list[Any]()
    some = [*islice(rows, _AT_ONCE)]
    names = [*some[0]] if some else content.columns
    while some or not tables:
        columns = {each: _column(each, [row[each] for row in some]) for each in names}
        tables.append(pa.table(columns))
        some = [*islice(rows, _AT_ONCE)]
    return pa.concat_tables(tables)


def _column(name: str, values: Sequence[Any]) -> Any:
    """Return an Arrow array: `t` a timestamp, decimals DECIMAL(38, 18), indicators floats."""
    import pyarrow as pa

    types = {
        "t": pa.timestamp("ms", "UTC"),
        **dict.fromkeys(("end", "n", "revision"), pa.int64()),
        **dict.fromkeys(("closed", "partial", "complete"), pa.bool_()),
        **dict.fromkeys(("time", "origin"), pa.string()),
    }
    if name not in _DECIMALS:
        return pa.array(values, types.get(name, pa.float64()))
    decimals = [None if value is None else Decimal(value) for value in values]
    if name == "vw":
        decimals = [each and each.quantize(Decimal("1e-18"), context=_WIDE) for each in decimals]
    try:
        return pa.array(decimals, pa.decimal128(38, 18))
    except pa.ArrowInvalid as error:
        raise ParameterError(
            f"format: a value of {name} has more digits than this format holds; ask for json,"
            " or the client for floats=True"
        ) from error


def _parquet(content: Content) -> bytes:
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(_table(content), file, compression="zstd")
    return file.getvalue()


def _arrow(content: Content) -> bytes:
    import pyarrow as pa

    file = io.BytesIO()
    table = _table(content)
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def _lightweight_charts(content: Content) -> bytes:
    """Input of that library's setData; whitespace data for intervals without a trade."""
    return orjson.dumps(
        [
            {"time": row["t"] // 1000}
            if row["o"] is None
            else {
                "time": row["t"] // 1000,
                **{name: orjson.Fragment(row[key]) for key, name in _PRICES.items()},
                "volume": orjson.Fragment(row["v"]),
            }
            for row in content.rows
        ]
    )


def _influx(content: Content) -> bytes:
    """Line protocol in nanoseconds, without null prices."""
    symbol = _tag(str(content.envelope["symbol"]))
    head = f"candles,symbol={symbol},timeframe={content.envelope['timeframe']} "
    lines = []
    for row in content.rows:
        fields = [f"{name}={row[key]}" for key, name in _FIELDS.items() if row[key] is not None]
        fields.append(f"trades={row['n']}i")
        lines.append(f"{head}{','.join(fields)} {row['t']}000000\n")
    return "".join(lines).encode()


def _tag(text: str) -> str:
    for special in ("\\", ",", "=", " "):
        text = text.replace(special, "\\" + special)
    return text


_RENDERERS: Final[dict[str, Callable[[Content], bytes]]] = {
    "json": _json,
    "ndjson": _ndjson,
    "csv": _csv,
    "parquet": _parquet,
    "arrow": _arrow,
    "lightweight-charts": _lightweight_charts,
    "influx": _influx,
}
