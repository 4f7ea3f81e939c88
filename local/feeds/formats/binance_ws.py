"""Format `binance-ws`: recorded messages of Binance's public WebSocket streams.

Each line is `<local time> <message>`, the message bare or wrapped by a combined stream
(`{"stream": ..., "data": ...}`). Source: Binance, "WebSocket Streams", payloads of `trade` and
`aggTrade`. Recorders differ in their time stamps (`1723161253937085768 `, `1633998512.06: `);
ticks carry the exchange's trade time `T`, so the stamp is not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from local.feeds.formats.errors import BadRowError, excerpt
from local.feeds.formats.opening import Reading, rows
from local.feeds.formats.symbols import OneSymbol
from local.feeds.tick import Tick, plain_decimal, plain_symbol

_LINE: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?:?\s+(?=\{)", re.ASCII)
_START: Final = re.compile(rb'[0-9]+(\.[0-9]+)?:?\s+\{"(stream|e)":|wss://[a-z]*stream\.binance\.')
_TRADE_ID: Final = {"trade": "t", "aggTrade": "a"}


def read(path: Path, symbol: str | None = None, reading: Reading | None = None) -> Iterator[Tick]:
    """Yield the trades of a capture; every other message is counted in `reading.skipped`.

    Where a capture holds an instrument's single trades and the aggregates of the same trades, the
    kind that comes first counts, or each trade would be there twice.

    Raises FeedFileError: a line is no such message.
    """
    reading = reading or Reading()
    named = OneSymbol(path, symbol)
    kinds: dict[str, str] = {}
    for number, text in rows(path, reading):
        if (prefix := _LINE.match(text)) is None:
            if text.startswith(("ws://", "wss://")):  # the recorder's note of where it connected
                reading.skipped["connection"] += 1
                continue
            raise BadRowError(path, number, "the line", f"is not `<time> <json>`: {excerpt(text)}")
        try:
            message = json.loads(text[prefix.end() :])
        except (ValueError, RecursionError) as error:
            raise BadRowError(path, number, "the message", f"is not JSON: {error}") from None
        event = message.get("data", message)
        kind = event.get("e") if isinstance(event, dict) else None
        if kind not in _TRADE_ID:
            reading.skipped[_name(message, kind)] += 1
            continue
        instrument = _text(path, number, event, "s")
        # Futures also print what the insurance fund and auto-deleveraging do: no market prices.
        if event.get("X", "MARKET") != "MARKET" or kinds.setdefault(instrument, kind) != kind:
            reading.skipped[kind] += 1
            continue
        yield _tick(path, number, event, named.of(number, instrument))


def matches(path: Path, head: bytes) -> bool:
    """Tell whether a file starts like a capture of Binance messages."""
    return _START.match(head) is not None


def _tick(path: Path, row: int, event: dict[str, Any], symbol: str) -> Tick:
    trade_id = _integer(path, row, event, _TRADE_ID[event["e"]])
    buyer_was_maker = event.get("m")
    if not isinstance(buyer_was_maker, bool):
        raise BadRowError(path, row, "m", f"is not true or false: {excerpt(buyer_was_maker)}")
    return Tick(
        symbol,
        _decimal(path, row, event, "p"),
        _decimal(path, row, event, "q"),
        _integer(path, row, event, "T"),
        "sell" if buyer_was_maker else "buy",
        str(trade_id),
    )


def _name(message: dict[str, Any], kind: object) -> str:
    """Name a message that is no trade by its event, or by its stream (book tickers have none)."""
    if isinstance(kind, str):
        return kind
    stream = message.get("stream")
    return stream.partition("@")[2].partition("@")[0] if isinstance(stream, str) else "other"


def _text(path: Path, row: int, event: dict[str, Any], field: str) -> str:
    value = event.get(field)
    try:
        return plain_symbol(value if isinstance(value, str) else "")
    except ValueError as error:
        raise BadRowError(path, row, field, f"{error}: {excerpt(value)}") from None


def _integer(path: Path, row: int, event: dict[str, Any], field: str) -> int:
    value = event.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRowError(path, row, field, f"is not a whole number: {excerpt(value)}")
    return value


def _decimal(path: Path, row: int, event: dict[str, Any], field: str) -> str:
    value = event.get(field)
    if not isinstance(value, str):
        raise BadRowError(path, row, field, f"is not decimal text: {excerpt(value)}")
    try:
        return plain_decimal(value)
    except ValueError as error:
        raise BadRowError(path, row, field, f"{error}: {excerpt(value)}") from None
