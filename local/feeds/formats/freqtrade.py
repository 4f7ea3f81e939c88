"""Format `freqtrade`: trades as freqtrade's `download-data --dl-trades` stores them.

A JSON array of rows `[timestamp ms, id, type, side, price, amount, cost]`, named after the pair
(`XRP_ETH-trades.json.gz`). Source: freqtrade, `freqtrade/constants.py`, DEFAULT_TRADES_COLUMNS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from local.feeds.formats.errors import BadRowError, FeedFileError, excerpt
from local.feeds.formats.opening import Reading, open_bytes
from local.feeds.tick import Tick, plain_decimal, plain_symbol

_NAME: Final = re.compile(r"(?P<pair>[A-Za-z0-9_]+)-trades\.json(\.gz)?", re.ASCII)
_ROW: Final = re.compile(rb"\s*\[\s*\[\s*[0-9]{9,}\s*,")
_COLUMNS: Final = 7


def read(path: Path, symbol: str | None = None, reading: Reading | None = None) -> Iterator[Tick]:
    """Yield the trades of a file, in its order; `XRP_ETH-trades.json.gz` is symbol `XRP-ETH`.

    Numbers are kept as the text of the file (a JSON number never becomes a float), exponents
    written out. The array is loaded whole.

    Raises FeedFileError: it is no such file, or a row is wrong.
    """
    name = symbol or _pair(path)
    reading = reading or Reading()
    with open_bytes(path) as file:
        content = file.read()
    try:
        trades = json.loads(content, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise FeedFileError(f"{path}: is not JSON: {error}") from None
    del content
    if not isinstance(trades, list):
        raise FeedFileError(f"{path}: is not a JSON array of trades")
    for number, row in enumerate(trades, start=1):
        yield _tick(path, number, row, name)
        reading.fraction = number / len(trades)


def matches(path: Path, head: bytes) -> bool:
    """Tell whether a file is named, and starts, like a file of trades."""
    return _NAME.fullmatch(path.name) is not None or _ROW.match(head) is not None


def _pair(path: Path) -> str:
    if (match := _NAME.fullmatch(path.name)) is None:
        raise FeedFileError(
            f"{path}: the name does not tell the pair (PAIR-trades.json.gz); give it with --symbol"
        )
    return match["pair"].replace("_", "-")


def _tick(path: Path, number: int, row: object, symbol: str) -> Tick:
    if not isinstance(row, list) or len(row) != _COLUMNS:
        raise BadRowError(path, number, "the row", f"is not {_COLUMNS} values: {excerpt(row)}")
    time_ms, trade_id, _type, side, price, amount, _cost = row
    if not (isinstance(time_ms, str) and time_ms.isdecimal() and len(time_ms) <= 19):
        raise BadRowError(path, number, "timestamp", f"is not milliseconds: {excerpt(time_ms)}")
    if side not in ("buy", "sell", None):
        raise BadRowError(path, number, "side", f"is neither buy nor sell: {excerpt(side)}")
    if trade_id is not None and not isinstance(trade_id, str):
        raise BadRowError(path, number, "id", f"is neither text nor a number: {excerpt(trade_id)}")
    return Tick(
        symbol,
        _decimal(path, number, "price", price),
        _decimal(path, number, "amount", amount),
        int(time_ms),
        side or "",
        _trade_id(path, number, trade_id or ""),
    )


def _decimal(path: Path, row: int, field: str, value: object) -> str:
    try:
        return plain_decimal(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise BadRowError(path, row, field, f"{error}: {excerpt(value)}") from None


def _trade_id(path: Path, row: int, text: str) -> str:
    try:
        return plain_symbol(text) if text else ""
    except ValueError as error:
        raise BadRowError(path, row, "id", f"{error}: {excerpt(text)}") from None
