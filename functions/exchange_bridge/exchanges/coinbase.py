"""Coinbase Exchange: `matches`, `ticker` and `heartbeat`.

Sources: Coinbase, "Exchange WebSocket Channels" and "Get product trades". Trade ids of a product
are contiguous, and each heartbeat, one a second, names the last one: so a trade that is missing is
noticed in a quiet market too. `sequence` counts the messages of a channel that is not subscribed,
so its holes say nothing here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import orjson

from functions.exchange_bridge.exchange import Fetched, Id, Kind, Message, Trade
from functions.exchange_bridge.rest import Rest
from shared.instruments import Venue
from shared.raw import FORMAT_COINBASE

PAGE: Final = 1_000
SPACING_S: Final = 0.15
"""10 public requests a second and address are allowed."""

_CHANNELS: Final = ("matches", "ticker", "heartbeat")


class _Channel(msgspec.Struct):
    name: str = ""
    product_ids: list[str] = []


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    product_id: str = ""
    trade_id: Id | None = None
    last_trade_id: Id | None = None
    time: datetime | None = None
    message: str = ""
    reason: str = ""
    channels: list[_Channel] = []


_decode: Final = msgspec.json.Decoder(_Message).decode


class Coinbase:
    """Coinbase Exchange."""

    name = "coinbase"
    venue = Venue.COINBASE
    format = FORMAT_COINBASE
    heartbeats = True
    life_s = 0.0

    def __init__(self, url: str, symbols: Sequence[str]) -> None:
        self._url = url
        self.symbols = tuple(symbol.upper() for symbol in symbols)

    def url(self) -> str:
        """Return the address."""
        return self._url

    def requests(self) -> Sequence[str]:
        """Return the subscription; without one within 5 seconds the exchange hangs up."""
        request = {
            "type": "subscribe",
            "product_ids": list(self.symbols),
            "channels": list(_CHANNELS),
        }
        return [orjson.dumps(request).decode()]

    def expected(self) -> frozenset[str]:
        """Return every channel of every product."""
        return frozenset(f"{channel} {each}" for channel in _CHANNELS for each in self.symbols)

    def read(self, payload: bytes) -> Message:
        """Tell what a message is."""
        try:
            message = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Message(Kind.UNREADABLE)
        symbol, kind = message.product_id, message.type
        sent_us = 0 if message.time is None else _us(message.time)
        if kind == "match" and message.trade_id is not None:
            trade = Trade(symbol, message.trade_id, sent_us)
            return Message(Kind.TRADE, symbol, (trade,), sent_us=sent_us or None)
        if kind == "ticker":
            # Its time is that of the last trade, which may be long ago.
            return Message(Kind.QUOTE, symbol)
        if kind == "heartbeat":
            last = message.last_trade_id
            return Message(
                Kind.HEARTBEAT,
                symbol,
                last=None if last is None else Trade(symbol, last, sent_us),
                sent_us=sent_us or None,
            )
        if kind == "last_match" and message.trade_id is not None:
            # The newest trade when the subscription began; where it is missing it is fetched.
            return Message(Kind.HEARTBEAT, symbol, last=Trade(symbol, message.trade_id, sent_us))
        if kind == "subscriptions":
            confirmed = {
                f"{channel.name} {each}"
                for channel in message.channels
                for each in channel.product_ids
            }
            return Message(Kind.CONFIRMATION, confirmed=frozenset(confirmed))
        if kind == "error":
            return Message(Kind.ERROR, detail=f"{message.message}: {message.reason}".rstrip(": "))
        return Message(Kind.OTHER if kind else Kind.UNREADABLE, symbol)

    async def missing(
        self, rest: Rest, symbol: str, first: Trade, last: Trade
    ) -> AsyncIterator[Fetched]:
        """Yield pages, the newest trades first, by the cursor `after`."""
        after, newest = last.id + 1, first.id - 1
        path = f"/products/{symbol}/trades"
        while after > first.id:
            rows = await rest.get(path, {"after": after, "limit": PAGE})
            ids = [int(row["trade_id"]) for row in rows]
            lowest = min(ids, default=None)
            newest = max(newest, *ids) if ids else newest
            # What lies below the lowest is not known yet; once that is below the range, all is.
            done = lowest is not None and lowest <= first.id
            wanted = [row for row in rows if first.id <= int(row["trade_id"]) <= last.id]
            yield Fetched(
                [orjson.dumps(_match(symbol, path, row)) for row in wanted],
                [
                    Trade(symbol, int(row["trade_id"]), _us(datetime.fromisoformat(row["time"])))
                    for row in wanted
                ],
                newest if done else first.id - 1,
            )
            if lowest is None or lowest >= after:
                return
            after = lowest

    async def newest(self, rest: Rest, symbol: str) -> Trade | None:
        """Heartbeats say it."""
        return None


def _match(symbol: str, path: str, row: dict[str, object]) -> dict[str, object]:
    """Return the message that the row would have been; its side is the maker's in both."""
    names = ("trade_id", "side", "size", "price", "time")
    fields = {name: row[name] for name in names}
    return {"type": "match", "product_id": symbol, **fields, "backfill": path}


def _us(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
