"""Trades and quotes of a feed, as its messages say them, into rows and rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shared.inputs.feed_columns import (
    LARGEST_ID,
    Faults,
    epoch_us,
    named,
    prices,
    sizes,
)
from shared.inputs.line import RejectedLineError, read_trade_id
from shared.inputs.quote_rows import QuoteRows
from shared.inputs.reject_reasons import Rejected
from shared.inputs.rows import Rows
from shared.inputs.scales import POWERS
from shared.market.decimals import INT64_MAX
from shared.market.instruments import Naming
from shared.wire.quotes import NOT_SAID
from shared.wire.ticks import INTEGER_ID, NO_ID, Bytes8, Int64s, Mantissas, Texts

UNKNOWN, BUY, SELL = 0, 1, 2
NO_TRADE_ID: Final = -1

Original = Callable[[int, int], bytes]
"""The bytes of a message, or of an element of one, by payload and line."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A feed's names of the fields, for error messages."""

    symbol: str
    price: str = "price"
    size: str = "size"
    time: str = "time"
    side: str = "side"
    trade_id: str = "trade_id"
    bid: str = "bid"
    ask: str = "ask"
    bid_size: str = "bid_size"
    ask_size: str = "ask_size"


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed's venue, its words, and what it always gives."""

    venue: str
    fields: Fields
    trade_ids: bool = True
    trade_times: bool = True
    sides: bool = True
    text_ids: bool = False


@dataclass(slots=True)
class Trades:
    """Trades in columns of what the messages say. `time`: since 1970 in any unit, or NO_TIME.

    `text_id` is there instead of `trade_id` where the feed's ids are texts; empty for none.
    `conditions` is empty where the feed has none.
    """

    payload: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    symbol: list[str] = field(default_factory=list)
    price: list[str] = field(default_factory=list)
    size: list[str] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    side: list[int] = field(default_factory=list)
    trade_id: list[int] = field(default_factory=list)
    text_id: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class QuotesSaid:
    """Quotes in columns of what the messages say; sizes are empty where there are none."""

    payload: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    symbol: list[str] = field(default_factory=list)
    bid: list[str] = field(default_factory=list)
    ask: list[str] = field(default_factory=list)
    bid_size: list[str] = field(default_factory=list)
    ask_size: list[str] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    update_id: list[int] = field(default_factory=list)


def trade_rows(
    feed: Feed, naming: Naming, said: Trades, original: Original
) -> tuple[Rows, list[Rejected]]:
    """Return the trades that are ticks, and the rejects."""
    faults, words = Faults(), feed.fields
    names, markets, symbol = named(words.symbol, feed.venue, said.symbol, naming, faults)
    price, price_scale = prices(words.price, said.price, faults)
    size, size_scale = sizes(words.size, said.size, faults)
    time_us = epoch_us(words.time, said.time, faults, required=feed.trade_times)
    side = np.array(said.side, dtype=np.uint8)
    ids = _text_ids if feed.text_ids else _integer_ids
    kind, trade_id, text = ids(feed, said, faults)
    if feed.sides:
        for row in np.flatnonzero(side == UNKNOWN).tolist():
            faults.add(row, "bad_side", f"{words.side} is missing or unknown")
    if feed.trade_ids:
        for row in np.flatnonzero(kind == NO_ID).tolist():
            faults.add(row, "bad_trade_id", f"{words.trade_id} is missing")
    good = faults.good(len(symbol))
    payload, line = _places(said.payload, said.line)
    return Rows(
        names,
        symbol[good],
        price[good],
        price_scale[good],
        size[good],
        size_scale[good],
        time_us[good],
        side[good],
        kind[good],
        trade_id[good],
        None if text is None else text[good],
        payload[good],
        line[good],
        markets if feed.venue else (),
        conditions=np.array(said.conditions, dtype=object)[good] if any(said.conditions) else None,
    ), _rejected(faults, payload, line, original)


def _integer_ids(feed: Feed, said: Trades, faults: Faults) -> tuple[Bytes8, Int64s, None]:
    trade_id = np.array(said.trade_id, dtype=np.int64)
    for row in np.flatnonzero((trade_id < NO_TRADE_ID) | (trade_id > LARGEST_ID)).tolist():
        faults.add(row, "bad_trade_id", f"{feed.fields.trade_id} is no positive integer")
    has_id = trade_id != NO_TRADE_ID
    kind = np.where(has_id, INTEGER_ID, NO_ID).astype(np.uint8)
    return kind, np.where(has_id, trade_id, 0), None


def _text_ids(feed: Feed, said: Trades, faults: Faults) -> tuple[Bytes8, Int64s, Texts | None]:
    found = []
    for row, text in enumerate(said.text_id):
        try:
            found.append(read_trade_id(feed.fields.trade_id, text))
        except RejectedLineError as error:
            faults.add(row, error.code, str(error))
            found.append((NO_ID, 0, ""))
    kind, integer, texts = zip(*found, strict=True) if found else ((), (), ())
    return (
        np.array(kind, dtype=np.uint8),
        np.array(integer, dtype=np.int64),
        np.array(texts, dtype=object) if any(texts) else None,
    )


def quote_rows(
    feed: Feed, naming: Naming, said: QuotesSaid, original: Original
) -> tuple[QuoteRows, list[Rejected]]:
    """Return the quotes, and the rejects: also where the ask is not above the bid."""
    faults, words = Faults(), feed.fields
    names, markets, symbol = named(words.symbol, feed.venue, said.symbol, naming, faults)
    bid, ask, price_scale = _together(
        faults, prices(words.bid, said.bid, faults), prices(words.ask, said.ask, faults)
    )
    bid_said, ask_said = (
        np.array([bool(text) for text in texts], dtype=bool)
        for texts in (said.bid_size, said.ask_size)
    )
    bid_size, ask_size, size_scale = _together(
        faults,
        sizes(words.bid_size, [text or "0" for text in said.bid_size], faults),
        sizes(words.ask_size, [text or "0" for text in said.ask_size], faults),
    )
    time_us = epoch_us(words.time, said.time, faults, required=False)
    for side, price, size, is_said in (
        (words.bid, bid, bid_size, bid_said),
        (words.ask, ask, ask_size, ask_said),
    ):
        for row in np.flatnonzero((price == 0) & (size == 0) & is_said).tolist():
            faults.add(row, "empty_side", f"{side} is 0 and of size 0: the book has no {side}")
    for row in np.flatnonzero(ask <= bid).tolist():
        faults.add(
            row,
            "crossed_quote",
            f"{words.ask} {said.ask[row][:40]!r} must be above {words.bid} {said.bid[row][:40]!r}",
        )
    good = faults.good(len(symbol))
    payload, line = _places(said.payload, said.line)
    return QuoteRows(
        names,
        markets if feed.venue else (),
        symbol[good],
        bid[good],
        ask[good],
        price_scale[good],
        np.where(bid_said, bid_size, NOT_SAID)[good],
        np.where(ask_said, ask_size, NOT_SAID)[good],
        size_scale[good],
        time_us[good],
        np.array(said.update_id, dtype=np.int64)[good],
        payload[good],
        line[good],
    ), _rejected(faults, payload, line, original)


def _together(
    faults: Faults, a: tuple[Mantissas, Int64s], b: tuple[Mantissas, Int64s]
) -> tuple[Int64s, Int64s, Int64s]:
    """Bring two columns to one scale, row by row; what does not fit 64 bits is a fault."""
    scale = np.maximum(a[1], b[1])
    found = []
    for mantissa, own in (a, b):
        step = scale - own
        power = POWERS[np.minimum(step, 18)]
        fits = (mantissa == 0) | ((step <= 18) & (np.abs(mantissa) <= INT64_MAX // power))
        for row in np.flatnonzero(~fits).tolist():
            faults.add(row, "out_of_range", "bid and ask do not fit 64 bits at one scale")
        found.append(np.where(fits, mantissa, 0).astype(np.int64) * np.where(fits, power, 1))
    return found[0], found[1], scale


def _places(payload: Sequence[int], line: Sequence[int]) -> tuple[Int64s, Int64s]:
    return np.array(payload, dtype=np.int64), np.array(line, dtype=np.int64)


def _rejected(faults: Faults, payload: Int64s, line: Int64s, original: Original) -> list[Rejected]:
    return [
        Rejected(
            place := int(payload[row]),
            number := int(line[row]),
            original(place, number),
            *faults[row],
        )
        for row in sorted(faults)
    ]
