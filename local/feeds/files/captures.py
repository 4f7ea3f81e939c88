"""Recorded messages of Binance's public WebSocket streams: one `<local time> <message>` a line.

The message is bare or wrapped by a combined stream (`{"stream": ..., "data": ...}`). Source:
Binance, "WebSocket Streams", payloads of `trade` and `aggTrade`. Recorders differ in their time
stamps (`1723161253937085768 `, `1633998512.06: `); trades carry the exchange's trade time `T`, so
the stamp is not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from local.feeds.files.blocks import BATCH_ROWS, MAX_ROW_BYTES
from local.feeds.files.errors import FileError, excerpt
from local.feeds.files.layouts import FIELDS, Layout
from local.feeds.files.opening import Part, Progress

LAYOUT: Final = Layout(
    "Binance WebSocket capture",
    {"symbol": "s", "price": "p", "size": "q", "time": "T", "side": "m", "trade_id": "t or a"},
    unit="ms",
)
_LINE: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?:?\s+(?=\{)", re.ASCII)
_START: Final = re.compile(rb'[0-9]+(\.[0-9]+)?:?\s+\{"(stream|e)":|wss://[a-z]*stream\.binance\.')
_TRADE_ID: Final = {"trade": "t", "aggTrade": "a"}


def matches(head: bytes) -> bool:
    """Return whether a file starts like a capture of Binance messages."""
    return _START.match(head) is not None


def read(
    part: Part, symbol: str | None, progress: Progress
) -> Iterator[tuple[int, dict[str, pa.ChunkedArray]]]:
    """Yield (number of the first row, columns of trades); count every other message as skipped.

    Where a capture holds an instrument's single trades and the aggregates of the same trades, the
    kind that comes first counts, or each trade would be there twice. Raises FileError.
    """
    kinds: dict[str, str] = {}
    rows: list[tuple[str, ...]] = []
    first = number = 1
    for number, raw in enumerate(iter(lambda: part.stream.readline(MAX_ROW_BYTES), b""), 1):
        text = raw.decode("utf-8", "replace").strip()
        if not text:
            continue
        if (prefix := _LINE.match(text)) is None:
            if text.startswith(("ws://", "wss://")):  # the recorder's note of its connection
                progress.skipped["connection"] += 1
                continue
            raise FileError(f"{part}: row {number} is not `<time> <json>`: {excerpt(text)}")
        try:
            message = json.loads(text[prefix.end() :])
        except (ValueError, RecursionError) as error:
            raise FileError(f"{part}: row {number} is not JSON: {error}") from None
        event = message.get("data", message)
        kind = event.get("e") if isinstance(event, dict) else None
        # Futures also report trades of the insurance fund and auto-deleveraging, without market
        # prices.
        is_trade = (
            kind in _TRADE_ID
            and event.get("X", "MARKET") == "MARKET"
            and kinds.setdefault(event.get("s", ""), kind) == kind
        )
        if not is_trade:
            progress.skipped[_name(message, kind)] += 1
            continue
        if symbol is not None and len(kinds) > 1:
            raise FileError(
                f"{part}: row {number} is of {event.get('s')}, earlier rows of {next(iter(kinds))}:"
                " one --symbol cannot name both; leave it out"
            )
        rows.append(_row(event, symbol))
        if len(rows) >= BATCH_ROWS:
            yield first, _columns(rows)
            rows, first = [], number + 1
    if rows:
        yield first, _columns(rows)


def _row(event: dict[str, Any], symbol: str | None) -> tuple[str, ...]:
    maker = event.get("m")
    side = "sell" if maker else "buy" if maker is False else ""
    values = (event.get("s"), event.get("p"), event.get("q"), event.get("T"))
    name, price, size, time = ("" if each is None else str(each) for each in values)
    return symbol or name, price, size, time, side, str(event.get(_TRADE_ID[event["e"]], "")), ""


def _columns(rows: list[tuple[str, ...]]) -> dict[str, pa.ChunkedArray]:
    return {
        name: pa.chunked_array([pa.array(column, type=pa.string())])
        for name, column in zip(FIELDS, zip(*rows, strict=True), strict=True)
    }


def _name(message: dict[str, Any], kind: object) -> str:
    """Name a message other than a trade by its event or stream (book tickers have no event)."""
    if isinstance(kind, str):
        return kind
    stream = message.get("stream")
    return stream.partition("@")[2].partition("@")[0] if isinstance(stream, str) else "other"
