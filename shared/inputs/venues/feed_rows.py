"""Trades and quotes of a feed, in the messages' own form, into rows and rejects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shared.inputs.columns.feed_columns import (
    LARGEST_ID,
    Faults,
    decimals,
    epoch_us,
    named,
    texts_of,
    times_of,
)
from shared.inputs.columns.rows import QuoteRows, Rejected, Rows, no_quotes
from shared.inputs.columns.scales import POWERS
from shared.inputs.text.line import RejectedLineError, price_of, read_trade_id, size_of
from shared.inputs.venues.elements import NO_TRADE_ID, UNKNOWN
from shared.market.decimals import INT64_MAX
from shared.market.instruments import Naming
from shared.wire.quotes import NOT_GIVEN
from shared.wire.raw_batch import LINE_BITS
from shared.wire.ticks import INTEGER_ID, NO_ID, Bytes8, Int64s, Mantissas, Texts

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
    conditions: str = "conditions"


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed's venue, field names, and guarantees. `sides`: the aggressor by its side.

    `quote_names`: names of fields that quotes have in place of those of trades.
    """

    venue: str
    fields: Fields
    sides: Mapping[Any, int] | None = None
    trade_ids: bool = True
    trade_times: bool = True
    sided: bool = True
    text_ids: bool = False
    quote_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def quote_fields(self) -> Fields:
        """Return the names of the fields of quotes."""
        return replace(self.fields, **self.quote_names)


@dataclass(slots=True)
class _Placed:
    """Elements, and where each stands: payload and line as one number."""

    items: list[Any] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def positions(self) -> tuple[Int64s, Int64s]:
        """Return the payloads and lines as columns."""
        places = np.array(self.places, dtype=np.int64)
        return places >> LINE_BITS, places & ((1 << LINE_BITS) - 1)


class Elements:
    """Trades and quotes of a batch, with their positions.

    Each is a TradeElement or QuoteElement, or a struct with its attributes.
    """

    def __init__(self) -> None:
        self.trades, self.quotes = _Placed(), _Placed()

    def add(self, payload: int, line: int, item: Any) -> None:
        """Add the element with its position."""
        placed = self.quotes if item.is_quote else self.trades
        placed.items.append(item)
        placed.places.append(payload << LINE_BITS | line)

    def rows(
        self, feed: Feed, naming: Naming, original: Original
    ) -> tuple[Rows, QuoteRows, list[Rejected]]:
        """Return the trades that are ticks, the quotes, and the rejects."""
        rows, bad_trades = _trade_rows(feed, naming, self.trades, original)
        quotes, bad_quotes = _quote_rows(feed, naming, self.quotes, original)
        return rows, quotes, bad_trades + bad_quotes


def _trade_rows(
    feed: Feed, naming: Naming, placed: _Placed, original: Original
) -> tuple[Rows, list[Rejected]]:
    faults, fields, trades = Faults(), feed.fields, placed.items
    symbols = [each.symbol for each in trades]
    times = times_of(fields.time, [each.time for each in trades], faults)
    names, markets, symbol = named(fields.symbol, feed.venue, symbols, naming, faults)
    texts = texts_of([each.price for each in trades])
    price, price_scale = decimals(price_of, fields.price, texts, faults)
    texts = texts_of([each.size for each in trades])
    size, size_scale = decimals(size_of, fields.size, texts, faults)
    time_us = epoch_us(fields.time, times, faults, required=feed.trade_times)
    sides = [each.side for each in trades]
    if feed.sides is not None:
        sides = [feed.sides.get(each, UNKNOWN) for each in sides]
    side = np.array(sides, dtype=np.uint8)
    ids = _text_ids if feed.text_ids else _integer_ids
    kind, trade_id, text = ids(fields.trade_id, [each.trade_id for each in trades], faults)
    conditions = [each.conditions for each in trades]
    if feed.sided:
        for row in np.flatnonzero(side == UNKNOWN).tolist():
            faults.add(row, "bad_side", f"{fields.side} is missing or unknown")
    if feed.trade_ids:
        for row in np.flatnonzero(kind == NO_ID).tolist():
            faults.add(row, "bad_trade_id", f"{fields.trade_id} is missing")
    ok = faults.good(len(symbol))
    payload, line = placed.positions()
    return Rows(
        names,
        symbol[ok],
        price[ok],
        price_scale[ok],
        size[ok],
        size_scale[ok],
        time_us[ok],
        side[ok],
        kind[ok],
        trade_id[ok],
        None if text is None else text[ok],
        payload[ok],
        line[ok],
        markets if feed.venue else (),
        conditions=np.array(conditions, dtype=object)[ok] if any(conditions) else None,
    ), _rejected(faults, payload, line, original)


def _integer_ids(name: str, values: Sequence[Any], faults: Faults) -> tuple[Bytes8, Int64s, None]:
    trade_id = np.array(values, dtype=np.int64)
    for row in np.flatnonzero((trade_id < NO_TRADE_ID) | (trade_id > LARGEST_ID)).tolist():
        faults.add(row, "bad_trade_id", f"{name} is not a positive integer")
    has_id = trade_id != NO_TRADE_ID
    kind = np.where(has_id, INTEGER_ID, NO_ID).astype(np.uint8)
    return kind, np.where(has_id, trade_id, 0), None


def _text_ids(
    name: str, values: Sequence[Any], faults: Faults
) -> tuple[Bytes8, Int64s, Texts | None]:
    parsed = []
    for row, value in enumerate(values):
        try:
            text = value if type(value) is str else "" if value is None else str(value)
            parsed.append(read_trade_id(name, text))
        except RejectedLineError as error:
            faults.add(row, error.code, str(error))
            parsed.append((NO_ID, 0, ""))
    kind, integer, texts = zip(*parsed, strict=True) if parsed else ((), (), ())
    return (
        np.array(kind, dtype=np.uint8),
        np.array(integer, dtype=np.int64),
        np.array(texts, dtype=object) if any(texts) else None,
    )


def _quote_rows(
    feed: Feed, naming: Naming, placed: _Placed, original: Original
) -> tuple[QuoteRows, list[Rejected]]:
    """Return the quotes, and the rejects, including crossed ones."""
    if not placed.items:
        return no_quotes(), []
    faults, fields, quotes = Faults(), feed.quote_fields, placed.items
    symbols = [each.symbol for each in quotes]
    times = times_of(fields.time, [each.time for each in quotes], faults)
    bids, asks = texts_of([each.bid for each in quotes]), texts_of([each.ask for each in quotes])
    bid_sizes = texts_of([each.bid_size for each in quotes])
    ask_sizes = texts_of([each.ask_size for each in quotes])
    names, markets, symbol = named(fields.symbol, feed.venue, symbols, naming, faults)
    bid, ask, price_scale = _together(
        faults,
        decimals(price_of, fields.bid, bids, faults),
        decimals(price_of, fields.ask, asks, faults),
    )
    bid_said, ask_said = (
        np.array([bool(text) for text in texts], dtype=bool) for texts in (bid_sizes, ask_sizes)
    )
    bid_size, ask_size, size_scale = _together(
        faults,
        decimals(size_of, fields.bid_size, [text or "0" for text in bid_sizes], faults),
        decimals(size_of, fields.ask_size, [text or "0" for text in ask_sizes], faults),
    )
    time_us = epoch_us(fields.time, times, faults, required=False)
    for side, price, size, is_said in (
        (fields.bid, bid, bid_size, bid_said),
        (fields.ask, ask, ask_size, ask_said),
    ):
        for row in np.flatnonzero((price == 0) & (size == 0) & is_said).tolist():
            faults.add(row, "empty_side", f"{side} is 0 and of size 0: the book has no {side}")
    for row in np.flatnonzero(ask <= bid).tolist():
        bid_text = f"{fields.bid} {bids[row][:40]!r}"
        ask_text = f"{fields.ask} {asks[row][:40]!r}"
        faults.add(row, "crossed_quote", f"{ask_text} must be above {bid_text}")
    ok = faults.good(len(symbol))
    payload, line = placed.positions()
    return QuoteRows(
        names,
        markets if feed.venue else (),
        symbol[ok],
        bid[ok],
        ask[ok],
        price_scale[ok],
        np.where(bid_said, bid_size, NOT_GIVEN)[ok],
        np.where(ask_said, ask_size, NOT_GIVEN)[ok],
        size_scale[ok],
        time_us[ok],
        np.array([each.update_id for each in quotes], dtype=np.int64)[ok],
        payload[ok],
        line[ok],
    ), _rejected(faults, payload, line, original)


def _together(
    faults: Faults, a: tuple[Mantissas, Int64s], b: tuple[Mantissas, Int64s]
) -> tuple[Int64s, Int64s, Int64s]:
    """Bring two columns to one scale, row by row; overflow of 64 bits is a fault."""
    scale = np.maximum(a[1], b[1])
    scaled = []
    for mantissa, own_scale in (a, b):
        step = scale - own_scale
        power = POWERS[np.minimum(step, 18)]
        fits = (mantissa == 0) | ((step <= 18) & (np.abs(mantissa) <= INT64_MAX // power))
        for row in np.flatnonzero(~fits).tolist():
            faults.add(row, "out_of_range", "bid and ask do not fit 64 bits at one scale")
        scaled.append(np.where(fits, mantissa, 0).astype(np.int64) * np.where(fits, power, 1))
    return scaled[0], scaled[1], scale


def _rejected(faults: Faults, payload: Int64s, line: Int64s, original: Original) -> list[Rejected]:
    return [
        Rejected(
            payload_number := int(payload[row]),
            number := int(line[row]),
            original(payload_number, number),
            *faults[row],
        )
        for row in sorted(faults)
    ]
