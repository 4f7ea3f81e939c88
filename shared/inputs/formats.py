"""Formats of raw batches: the parser of each, and access to the original bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from shared.errors import PermanentError
from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.conditions import read_conditions
from shared.inputs.objects.json_objects import parse_objects
from shared.inputs.text.lines import line_at, parse_lines
from shared.inputs.text.tickers import message_at, parse_tickers
from shared.inputs.venues.alpaca import ALPACA
from shared.inputs.venues.binance import FUTURES, parse_binance
from shared.inputs.venues.ccxt import parse_ccxt
from shared.inputs.venues.messages import payload_at
from shared.inputs.venues.venue_feeds import BYBIT, COINBASE, COINBASE_ADVANCED, KRAKEN, OKX
from shared.inputs.venues.venue_messages import object_at
from shared.wire import raw_batch as raw
from shared.wire.raw_batch import RawBatch

OFFICIAL_PRICE: Final = "official_price"
"""Kind of a skipped message: an official price, which is not a trade."""


class _Format(NamedTuple):
    parse: Callable[[RawBatch, FeedRules], Parsed]
    original: Callable[[RawBatch, int, int], bytes]


def _message(batch: RawBatch, payload: int, line: int) -> bytes:
    return payload_at(batch, payload)


_CSV: Final = _Format(lambda batch, rules: parse_lines(batch), line_at)
_TICKER: Final = _Format(lambda batch, rules: Parsed(*parse_tickers(batch)), message_at)
_FORMATS: Final = {
    raw.FORMAT_CSV: _CSV,
    raw.FORMAT_CSV_DECIMAL_COMMA: _CSV,
    raw.FORMAT_TICKER: _TICKER,
    raw.FORMAT_TICKER_STREAM: _TICKER,
    raw.FORMAT_BINANCE: _Format(parse_binance, _message),
    raw.FORMAT_COINBASE: _Format(COINBASE.parse, COINBASE.original),
    raw.FORMAT_KRAKEN: _Format(KRAKEN.parse, KRAKEN.original),
    raw.FORMAT_SCANNER: _Format(parse_objects, object_at),
    raw.FORMAT_BINANCE_FUTURES: _Format(partial(parse_binance, feed=FUTURES), _message),
    raw.FORMAT_COINBASE_ADVANCED: _Format(COINBASE_ADVANCED.parse, COINBASE_ADVANCED.original),
    raw.FORMAT_BYBIT: _Format(BYBIT.parse, BYBIT.original),
    raw.FORMAT_OKX: _Format(OKX.parse, OKX.original),
    raw.FORMAT_CCXT: _Format(parse_ccxt, _message),
    raw.FORMAT_ALPACA: _Format(ALPACA.parse, ALPACA.original),
}


def parse(batch: RawBatch, rules: FeedRules) -> Parsed:
    """Parse a batch. Raises PermanentError."""
    if batch.format not in _FORMATS:
        raise PermanentError("unsupported_format", f"format {batch.format} is none of raw.proto")
    form = _FORMATS[batch.format]
    parsed = _with_flags(form.parse(batch, rules))
    rows, refused = rules.prices.refuse(parsed.rows, partial(form.original, batch))
    return parsed._replace(rows=rows, rejected=parsed.rejected + refused) if refused else parsed


def original(batch: RawBatch, payload: int, line: int) -> bytes:
    """Return a line or message of a payload as received."""
    return _FORMATS[batch.format].original(batch, payload, line)


def _with_flags(parsed: Parsed) -> Parsed:
    """Return the ticks with their flags; skip what is not a trade, and count unknown codes."""
    rows = parsed.rows
    if rows.conditions is None:
        return parsed
    distinct, number = np.unique(rows.conditions.astype(str), return_inverse=True)
    read = [read_conditions(text) for text in distinct.tolist()]
    counts = np.bincount(number, minlength=len(read)).tolist()
    unread = Counter(parsed.unread)
    for each, count in zip(read, counts, strict=True):
        unread.update(dict.fromkeys((f"condition {code}" for code in each.unknown), count))
    trades = np.array([each.is_trade for each in read], dtype=bool)[number]
    flags = np.array([each.flags for each in read], dtype=np.uint8)[number]
    rows = replace(rows, flags=flags, conditions=None).at(np.flatnonzero(trades))
    skipped = Counter(parsed.skipped)
    if not trades.all():
        skipped[OFFICIAL_PRICE] += int(np.count_nonzero(~trades))
    return parsed._replace(rows=rows, skipped=skipped, unread=unread)
