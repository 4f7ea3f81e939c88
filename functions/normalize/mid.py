"""Mid-prices of quotes as ticks of a separate instrument, if configured."""

from __future__ import annotations

from typing import Final

import numpy as np

from shared.inputs.columns.feed_columns import Faults
from shared.inputs.columns.packed_text import shortest
from shared.inputs.columns.rows import QuoteRows, Rejected, Rows
from shared.inputs.formats import original
from shared.inputs.text.line import RejectedLineError, check_symbol
from shared.market.decimals import MAX_SCALE
from shared.runtime.settings import Choice
from shared.wire.raw_batch import RawBatch
from shared.wire.ticks import NO_ID

SUFFIX: Final = ".MID"
"""Appended to the instrument, so that candles of trades contain only trades."""

_LARGEST: Final = 9 * 10**17
"""A tenfold of two such prices still fits 64 bits."""


class QuotesAsTicks(Choice):
    """Values of QUOTES_AS_TICKS."""

    NONE = "none"
    MID = "mid"


def mid_ticks(batch: RawBatch, quotes: QuoteRows) -> tuple[Rows, list[Rejected]]:
    """Return a tick of size 0 for each quote at (bid + ask) / 2, exactly.

    A mid-price that does not fit 64 bits, or an instrument name that gets too long, is a reject.
    """
    faults = Faults()
    largest = np.maximum(np.abs(quotes.bid), np.abs(quotes.ask))
    fits = (largest <= _LARGEST) & (quotes.price_scale < MAX_SCALE)
    for row in np.flatnonzero(~fits).tolist():
        faults.add(row, "out_of_range", "the mid-price has more digits than 64 bits")
    names = tuple(name + SUFFIX for name in quotes.names)
    for symbol, name in enumerate(names):
        try:
            check_symbol(name, "the mid-price's instrument")
        except RejectedLineError as error:
            for row in np.flatnonzero(quotes.symbol == symbol).tolist():
                faults.add(row, error.code, str(error))
    accepted = faults.good(len(quotes))
    tenfold = (quotes.bid[accepted] + quotes.ask[accepted]) * 5
    digits, price_scale = shortest(
        np.abs(tenfold).view(np.uint64), quotes.price_scale[accepted] + 1
    )
    zeros = np.zeros(len(accepted), dtype=np.int64)
    rows = Rows(
        names,
        quotes.symbol[accepted],
        np.sign(tenfold) * digits,
        price_scale,
        zeros,
        zeros,
        quotes.time_us[accepted],
        zeros.astype(np.uint8),
        np.full(len(accepted), NO_ID, dtype=np.uint8),
        zeros,
        None,
        quotes.payload[accepted],
        quotes.line[accepted],
    )
    origins = [(row, int(quotes.payload[row]), int(quotes.line[row])) for row in sorted(faults)]
    return rows, [
        Rejected(payload, line, original(batch, payload, line), *faults[row])
        for row, payload, line in origins
    ]
