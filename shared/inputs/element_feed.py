"""Feeds whose messages hold lists of trades, quotes, or busts; each is rejected alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from shared.inputs.busts import BustRow
from shared.inputs.conditions import read_conditions
from shared.inputs.feed_columns import NO_TIME
from shared.inputs.feed_rows import Feed, QuoteColumns, Trades, quote_rows, trade_rows
from shared.inputs.line import RejectedLineError, check_symbol, price_of, read_trade_id, size_of
from shared.inputs.messages import Messages, payload_at
from shared.inputs.parsed import FeedRules, Parsed
from shared.inputs.reject_reasons import Rejected
from shared.market.instruments import Market
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import RawBatch

M = TypeVar("M")


class TradeElement(NamedTuple):
    """A trade as sent; `time` since 1970 in any unit, or NO_TIME."""

    symbol: str
    price: str
    size: str
    time: int
    side: int
    trade_id: str
    conditions: str = ""


class QuoteElement(NamedTuple):
    """A quote as sent; sizes are empty if absent."""

    symbol: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    time: int
    update_id: int = NOT_GIVEN


class BustElement(NamedTuple):
    """A cancel, or a correction with the new price and size.

    `corrected_id` and `conditions`: of the corrected trade, if it has a new id. `time`: of the
    trade, in any unit, or NO_TIME. `is_listed`: from a list of trades, whether or not the trade was
    received before.
    """

    symbol: str
    trade_id: str
    is_correction: bool = False
    price: str = ""
    size: str = ""
    corrected_id: str = ""
    conditions: str = ""
    time: int = NO_TIME
    is_listed: bool = False


class LeftOut(NamedTuple):
    """An element without data: its kind, to be counted."""

    kind: str


Said = TradeElement | QuoteElement | BustElement | LeftOut
Read = Callable[[msgspec.Raw], Said]
Elements = Sequence[tuple[Read, msgspec.Raw]]


@dataclass(frozen=True, slots=True)
class ElementFeed(Generic[M]):
    """Description of a feed's messages.

    `elements` returns a message's elements with the parser of each, None for a message of another
    kind, which `kind_of` names.
    """

    feed: Feed
    decode: Callable[[bytes], M]
    elements: Callable[[M], Elements | None]
    kind_of: Callable[[Any], str]

    def parse(self, batch: RawBatch, rules: FeedRules) -> Parsed:
        """Parse every element of every message; the line is an element's position."""
        messages = Messages(batch, self.decode, self.kind_of)
        trades, quotes, busts = Trades(), QuoteColumns(), list[BustRow]()
        for number, message in zip(messages.numbers, messages.decoded, strict=True):
            elements = self.elements(message)
            if elements is None:
                messages.leave(number, "a message of a kind that is not known")
                continue
            for line, (read, raw) in enumerate(elements):
                try:
                    item = read(raw)
                    if isinstance(item, BustElement):
                        busts.append(self._bust(rules, number, line, item, bytes(raw)))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    messages.reject_part(number, line, bytes(raw), f"it does not fit: {error}")
                except RejectedLineError as error:
                    messages.rejected.append(
                        Rejected(number, line, bytes(raw), error.code, str(error))
                    )
                else:
                    if isinstance(item, LeftOut):
                        messages.skipped[item.kind] += 1
                    elif not isinstance(item, BustElement):
                        _add(
                            trades if isinstance(item, TradeElement) else quotes, number, line, item
                        )

        def original(payload: int, line: int) -> bytes:
            return self.original(batch, payload, line)

        rows, bad_trades = trade_rows(self.feed, rules.naming, trades, original)
        quoted, bad_quotes = quote_rows(self.feed, rules.naming, quotes, original)
        rejected = messages.rejected + bad_trades + bad_quotes
        return Parsed(rows, rejected, quoted, messages.skipped, busts=busts)

    def _bust(
        self, rules: FeedRules, number: int, line: int, end: BustElement, original: bytes
    ) -> BustRow:
        """Return a bust of this venue. Raises RejectedLineError."""
        fields, venue = self.feed.fields, self.feed.venue
        if not end.trade_id:
            raise RejectedLineError(
                "bad_trade_id", f"{fields.trade_id} is missing: whose end is it"
            )
        for id_ in (end.trade_id, end.corrected_id):
            read_trade_id(fields.trade_id, id_)
        if end.is_correction:
            price_of(fields.price, end.price)
            size_of(fields.size, end.size)
        market = Market(venue, check_symbol(end.symbol, fields.symbol))
        conditions = read_conditions(end.conditions)
        corrected_id = "" if end.corrected_id == end.trade_id else end.corrected_id
        # A correction to an official price cancels the trade.
        stays = end.is_correction and conditions.is_trade
        return BustRow(
            *(number, line, rules.naming.instrument(market), venue, end.trade_id),
            *(max(end.time, 0), stays),
            *((end.price, end.size) if stays else ("", "")),
            original,
            corrected_id if stays else "",
            conditions.flags if stays and corrected_id else 0,
            end.is_listed,
        )

    def original(self, batch: RawBatch, payload: int, line: int) -> bytes:
        """Return an element of a message as received."""
        elements = self.elements(self.decode(payload_at(batch, payload)))
        assert elements is not None  # one element of a message
        return bytes(elements[line][1])


def _add(
    columns: Trades | QuoteColumns, number: int, line: int, item: TradeElement | QuoteElement
) -> None:
    columns.payload.append(number)
    columns.line.append(line)
    for name, value in zip(item._fields, item, strict=True):
        column = "text_id" if name == "trade_id" else name
        getattr(columns, column).append(value)
