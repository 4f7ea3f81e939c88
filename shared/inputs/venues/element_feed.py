"""Feeds whose messages hold trades, quotes, or busts; each is rejected alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar

import msgspec

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.conditions import read_conditions
from shared.inputs.objects.busts import NOT_RECEIVED, BustRow
from shared.inputs.text.line import (
    RejectedLineError,
    check_symbol,
    price_of,
    read_trade_id,
    size_of,
)
from shared.inputs.venues.elements import BustElement, LeftOut
from shared.inputs.venues.feed_rows import Elements, Feed
from shared.inputs.venues.messages import Messages, payload_at
from shared.market.instruments import Market
from shared.wire.busts import Bust
from shared.wire.raw_batch import RawBatch

M = TypeVar("M")

NOT_KNOWN: Final = "a message of a kind that is not known"


Unread = tuple[Callable[[msgspec.Raw], Any], msgspec.Raw]
"""An element as sent, behind its parser into a trade, a quote, BustElement or LeftOut."""


@dataclass(frozen=True, slots=True)
class ElementFeed(Generic[M]):
    """Description of a feed's messages.

    `read` returns a message's elements to be parsed, or the only one, or LeftOut, or why it has
    none: then `kind_of` names the message. It raises RejectedLineError to reject a message.
    """

    feed: Feed
    decode: Callable[[bytes], M]
    read: Callable[[M], Any]
    kind_of: Callable[[Any], str]

    def parse(self, batch: RawBatch, rules: FeedRules) -> Parsed:
        """Parse every element of every message; the line is an element's position."""
        return self.parsed(Messages(batch, self.decode, self.kind_of), rules)

    def parsed(self, messages: Messages[M], rules: FeedRules) -> Parsed:
        """Parse every element of decoded messages."""
        items, busts, read_message = Elements(), list[BustRow](), self.read
        for number, message in zip(messages.numbers, messages.decoded, strict=True):
            try:
                elements = read_message(message)
            except RejectedLineError as error:
                messages.reject(number, error.code, str(error))
                continue
            except msgspec.DecodeError as error:
                messages.leave(number, f"its elements do not fit: {error}")
                continue
            if isinstance(elements, LeftOut):
                messages.skipped[elements.kind] += 1
            elif isinstance(elements, str):
                messages.leave(number, elements)
            elif not isinstance(elements, list):
                items.add(number, 0, elements)
            else:
                for line, (read, raw) in enumerate(elements):
                    try:
                        item = read(raw)
                        if isinstance(item, BustElement):
                            bust = self._bust(rules, item, bytes(raw))
                            busts.append(BustRow(number, line, bust))
                        elif isinstance(item, LeftOut):
                            messages.skipped[item.kind] += 1
                        else:
                            items.add(number, line, item)
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        detail = f"it does not fit: {error}"
                        messages.reject(number, "bad_message", detail, line, bytes(raw))
                    except RejectedLineError as error:
                        messages.reject(number, error.code, str(error), line, bytes(raw))
        rows, quoted, rejected = items.rows(
            self.feed, rules.naming, partial(self.original, messages.batch)
        )
        return Parsed(rows, messages.rejected + rejected, quoted, messages.skipped, busts=busts)

    def _bust(self, rules: FeedRules, end: BustElement, original: bytes) -> Bust:
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
        return Bust(
            *(rules.naming.instrument(market), venue, end.trade_id),
            *(max(end.time, 0), stays),
            *((end.price, end.size) if stays else ("", "")),
            *NOT_RECEIVED,
            original,
            corrected_id if stays else "",
            conditions.flags if stays and corrected_id else 0,
            end.is_listed,
        )

    def original(self, batch: RawBatch, payload: int, line: int) -> bytes:
        """Return an element of a message as received."""
        message = payload_at(batch, payload)
        elements = self.read(self.decode(message))
        return bytes(elements[line][1]) if isinstance(elements, list) else message
