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
from dataclasses import replace
from typing import Any, Final

from local.feeds.files.blocks import MAX_ROW_BYTES, Tables, numbered
from local.feeds.files.errors import FileError, excerpt
from local.feeds.files.json_tables import tables_of
from local.feeds.files.layouts import Choice, Layout
from local.feeds.files.opening import Part, Progress
from shared.inputs.objects.fields import Field

_ID: Final = "t or a"
_LAYOUT: Final = Layout(
    "Binance WebSocket capture",
    {"symbol": "s", "price": "p", "size": "q", "time": "T", "side": "m", "trade_id": _ID},
    unit="ms",
    side=Field.BUYER_MAKER,
)
_LINE: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?:?\s+(?=\{)", re.ASCII)
_START: Final = re.compile(rb'[0-9]+(\.[0-9]+)?:?\s+\{"(stream|e)":|wss://[a-z]*stream\.binance\.')
_TRADE_ID: Final = {"trade": "t", "aggTrade": "a"}


def matches(head: bytes) -> bool:
    """Return whether a file starts like a capture of Binance messages."""
    return _START.match(head) is not None


def read(part: Part, choice: Choice, progress: Progress) -> Tables:
    """Return the layout and the trades; count every other message as skipped.

    Where a capture holds an instrument's single trades and the aggregates of the same trades, the
    kind that comes first counts, or each trade would be there twice. Raises FileError.
    """
    layout = replace(_LAYOUT, symbol=choice.symbol)
    names = [*layout.columns.values()]
    return layout, numbered(tables_of(_trades(part, choice.symbol, progress), names))


def _trades(part: Part, symbol: str | None, progress: Progress) -> Iterator[dict[str, object]]:
    kinds: dict[str, str] = {}
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
            message = json.loads(text[prefix.end() :], parse_float=str)
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
        yield {**event, _ID: event.get(_TRADE_ID[event["e"]])}


def _name(message: dict[str, Any], kind: object) -> str:
    """Name a message other than a trade by its event or stream (book tickers have no event)."""
    if isinstance(kind, str):
        return kind
    stream = message.get("stream")
    return stream.partition("@")[2].partition("@")[0] if isinstance(stream, str) else "other"
