"""Format `csv`: the pipeline's own input lines, with or without a header that names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local.feeds.formats.errors import BadRowError, FeedFileError, excerpt
from local.feeds.formats.opening import Reading, rows
from local.feeds.formats.symbols import OneSymbol
from local.feeds.tick import MAX_FIELD_CHARS, SIDES, Tick, plain_decimal, plain_symbol

COLUMNS: Final = ("symbol", "price", "size", "time_ms", "side", "trade_id")


def read(path: Path, symbol: str | None = None, reading: Reading | None = None) -> Iterator[Tick]:
    """Yield the ticks of a file of lines `SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,TRADE_ID]]]]`.

    Prices and sizes stay the text of the file. A first row that starts with `symbol` is a header;
    it may name the columns in another order.

    Raises FeedFileError: a row is no such line.
    """
    order: tuple[str, ...] = COLUMNS
    named = OneSymbol(path, symbol)
    for number, text in rows(path, reading):
        fields = [field.strip() for field in text.split(",")]
        if number == 1 and "symbol" in (lowered := [field.lower() for field in fields]):
            order = _header(path, lowered)
            continue
        if len(fields) > len(order):
            raise BadRowError(
                path, number, "the line", f"has {len(fields)} fields, not {len(order)}"
            )
        values = dict(zip(order, fields, strict=False))
        yield Tick(
            named.of(number, _symbol(path, number, values.get("symbol", ""))),
            _decimal(path, number, "price", values.get("price", "")),
            _decimal(path, number, "size", size) if (size := values.get("size", "")) else "",
            _time_ms(path, number, values.get("time_ms", "")),
            _side(path, number, values.get("side", "")),
            _trade_id(path, number, values.get("trade_id", "")),
        )


def matches(path: Path, head: bytes) -> bool:
    """Tell whether a file starts like lines of ticks."""
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace").removeprefix("\ufeff").strip()
    fields = [field.strip() for field in first.split(",")]
    if "symbol" in (lowered := [field.lower() for field in fields]):
        return set(lowered) <= set(COLUMNS)
    if not 2 <= len(fields) <= len(COLUMNS):
        return False
    try:
        plain_symbol(fields[0])
        plain_decimal(fields[1])
    except ValueError:
        return False
    # A row of plain numbers is somebody else's table; an instrument has a name.
    return not fields[0].lstrip("+-").replace(".", "", 1).isdigit()


def _header(path: Path, names: list[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in COLUMNS]
    missing = [name for name in ("symbol", "price") if name not in names]
    if unknown or missing or len(set(names)) != len(names):
        raise FeedFileError(
            f"{path}: the header must name columns of {', '.join(COLUMNS)} once each, "
            f"symbol and price among them; it names {', '.join(names)}"
        )
    return tuple(names)


def _symbol(path: Path, row: int, text: str) -> str:
    try:
        return plain_symbol(text)
    except ValueError as error:
        raise BadRowError(path, row, "symbol", f"{error}: {excerpt(text)}") from None


def _decimal(path: Path, row: int, field: str, text: str) -> str:
    try:
        return plain_decimal(text)
    except ValueError as error:
        raise BadRowError(path, row, field, f"{error}: {excerpt(text)}") from None


def _time_ms(path: Path, row: int, text: str) -> int | None:
    if not text:
        return None
    if not (text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 19):
        raise BadRowError(path, row, "time_ms", f"is not whole milliseconds: {excerpt(text)}")
    return int(text)


def _side(path: Path, row: int, text: str) -> str:
    side = text.lower()
    if side not in SIDES:
        raise BadRowError(path, row, "side", f"is neither buy nor sell: {excerpt(text)}")
    return side


def _trade_id(path: Path, row: int, text: str) -> str:
    if len(text) > MAX_FIELD_CHARS or not text.isprintable():
        raise BadRowError(path, row, "trade_id", f"is too long or holds controls: {excerpt(text)}")
    return text
