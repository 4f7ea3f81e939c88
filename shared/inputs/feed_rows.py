"""Trades and quotes of a feed, in the messages' own form, into rows and rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.inputs.elements import NO_TRADE_ID, UNKNOWN, QuoteElement, TradeElement
from shared.inputs.feed_columns import LARGEST_ID, Faults, epoch_us, named, prices, sizes
from shared.inputs.line import RejectedLineError, read_trade_id
from shared.inputs.rows import QuoteRows, Rejected, Rows
from shared.inputs.scales import POWERS
from shared.market.decimals import INT64_MAX
from shared.market.instruments import Naming
from shared.wire.quotes import NOT_GIVEN
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


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed's venue, field names, and guarantees."""

    venue: str
    fields: Fields
    trade_ids: bool = True
    trade_times: bool = True
    sides: bool = True
    text_ids: bool = False


@dataclass(slots=True)
class Elements:
    """Trades and quotes of a batch."""

    trades: list[TradeElement] = field(default_factory=list)
    quotes: list[QuoteElement] = field(default_factory=list)

    def add(self, payload: int, line: int, item: TradeElement | QuoteElement) -> None:
        """Add the element with its position."""
        item.payload, item.line = payload, line
        if isinstance(item, TradeElement):
            self.trades.append(item)
        else:
            self.quotes.append(item)

    def rows(
        self, feed: Feed, naming: Naming, original: Original
    ) -> tuple[Rows, QuoteRows, list[Rejected]]:
        """Return the trades that are ticks, the quotes, and the rejects."""
        rows, bad_trades = _trade_rows(feed, naming, self.trades, original)
        quotes, bad_quotes = _quote_rows(feed, naming, self.quotes, original)
        return rows, quotes, bad_trades + bad_quotes


def _places(
    elements: Sequence[TradeElement | QuoteElement],
) -> tuple[Int64s, Int64s]:
    return (
        np.array([each.payload for each in elements], dtype=np.int64),
        np.array([each.line for each in elements], dtype=np.int64),
    )


def _trade_rows(
    feed: Feed, naming: Naming, trades: list[TradeElement], original: Original
) -> tuple[Rows, list[Rejected]]:
    faults, fields = Faults(), feed.fields
    symbols, times = [each.symbol for each in trades], [each.time for each in trades]
    names, markets, symbol = named(fields.symbol, feed.venue, symbols, naming, faults)
    price, price_scale = prices(fields.price, [each.price for each in trades], faults)
    size, size_scale = sizes(fields.size, [each.size for each in trades], faults)
    time_us = epoch_us(fields.time, times, faults, required=feed.trade_times)
    side = np.array([each.side for each in trades], dtype=np.uint8)
    ids = _text_ids if feed.text_ids else _integer_ids
    kind, trade_id, text = ids(fields.trade_id, [each.trade_id for each in trades], faults)
    conditions = [each.conditions for each in trades]
    if feed.sides:
        for row in np.flatnonzero(side == UNKNOWN).tolist():
            faults.add(row, "bad_side", f"{fields.side} is missing or unknown")
    if feed.trade_ids:
        for row in np.flatnonzero(kind == NO_ID).tolist():
            faults.add(row, "bad_trade_id", f"{fields.trade_id} is missing")
    ok = faults.good(len(symbol))
    payload, line = _places(trades)
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
        faults.add(row, "bad_trade_id", f"{name} is no positive integer")
    has_id = trade_id != NO_TRADE_ID
    kind = np.where(has_id, INTEGER_ID, NO_ID).astype(np.uint8)
    return kind, np.where(has_id, trade_id, 0), None


def _text_ids(
    name: str, values: Sequence[Any], faults: Faults
) -> tuple[Bytes8, Int64s, Texts | None]:
    parsed = []
    for row, text in enumerate(values):
        try:
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
    feed: Feed, naming: Naming, quotes: list[QuoteElement], original: Original
) -> tuple[QuoteRows, list[Rejected]]:
    """Return the quotes, and the rejects, including crossed ones."""
    faults, fields = Faults(), feed.fields
    symbols, times = [each.symbol for each in quotes], [each.time for each in quotes]
    bids, asks = [each.bid for each in quotes], [each.ask for each in quotes]
    bid_sizes = [each.bid_size for each in quotes]
    ask_sizes = [each.ask_size for each in quotes]
    names, markets, symbol = named(fields.symbol, feed.venue, symbols, naming, faults)
    bid, ask, price_scale = _together(
        faults, prices(fields.bid, bids, faults), prices(fields.ask, asks, faults)
    )
    bid_said, ask_said = (
        np.array([bool(text) for text in texts], dtype=bool) for texts in (bid_sizes, ask_sizes)
    )
    bid_size, ask_size, size_scale = _together(
        faults,
        sizes(fields.bid_size, [text or "0" for text in bid_sizes], faults),
        sizes(fields.ask_size, [text or "0" for text in ask_sizes], faults),
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
    payload, line = _places(quotes)
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
