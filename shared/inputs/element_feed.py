"""Feeds whose messages hold lists: each element is a trade or a quote, and rejected alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from shared.inputs.feed_rows import Feed, QuotesSaid, Trades, quote_rows, trade_rows
from shared.inputs.line import RejectedLineError
from shared.inputs.messages import Messages, payload_at
from shared.inputs.parsed import FeedRules, Parsed
from shared.inputs.rejected import Rejected
from shared.quotes import NOT_SAID
from shared.raw import RawBatch

M = TypeVar("M")


class TradeSaid(NamedTuple):
    """A trade as its element says it; `time` since 1970 in any unit, or NO_TIME."""

    symbol: str
    price: str
    size: str
    time: int
    side: int
    trade_id: str
    conditions: str = ""


class QuoteSaid(NamedTuple):
    """A quote as its element says it; sizes are empty where there are none."""

    symbol: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    time: int
    update_id: int = NOT_SAID


Read = Callable[[msgspec.Raw], TradeSaid | QuoteSaid]
Elements = Sequence[tuple[Read, msgspec.Raw]]


@dataclass(frozen=True, slots=True)
class ElementFeed(Generic[M]):
    """How a feed's messages are read.

    `elements` returns a message's elements with what reads each, None for a message of another
    kind, which `kind_of` names.
    """

    feed: Feed
    decode: Callable[[bytes], M]
    elements: Callable[[M], Elements | None]
    kind_of: Callable[[Any], str]

    def parse(self, batch: RawBatch, rules: FeedRules) -> Parsed:
        """Parse every element of every message; an element's place is its line."""
        messages = Messages(batch, self.decode, self.kind_of)
        trades, quotes = Trades(), QuotesSaid()
        for number, message in zip(messages.numbers, messages.decoded, strict=True):
            elements = self.elements(message)
            if elements is None:
                messages.leave(number, "a message of a kind that is not known")
                continue
            for line, (read, raw) in enumerate(elements):
                try:
                    said = read(raw)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    messages.reject_part(number, line, bytes(raw), f"it does not fit: {error}")
                except RejectedLineError as error:
                    messages.rejected.append(
                        Rejected(number, line, bytes(raw), error.code, str(error))
                    )
                else:
                    _add(trades if isinstance(said, TradeSaid) else quotes, number, line, said)

        def original(payload: int, line: int) -> bytes:
            return self.original(batch, payload, line)

        rows, bad_trades = trade_rows(self.feed, rules.naming, trades, original)
        quoted, bad_quotes = quote_rows(self.feed, rules.naming, quotes, original)
        rejected = messages.rejected + bad_trades + bad_quotes
        return Parsed(rows, rejected, quoted, messages.skipped)

    def original(self, batch: RawBatch, payload: int, line: int) -> bytes:
        """Return an element of a message as it came."""
        elements = self.elements(self.decode(payload_at(batch, payload)))
        assert elements is not None  # it was one of a message
        return bytes(elements[line][1])


def _add(columns: Trades | QuotesSaid, number: int, line: int, said: TradeSaid | QuoteSaid) -> None:
    columns.payload.append(number)
    columns.line.append(line)
    for name, value in zip(said._fields, said, strict=True):
        column = "text_id" if name == "trade_id" else name
        getattr(columns, column).append(value)
