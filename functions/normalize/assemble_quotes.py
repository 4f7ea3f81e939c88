"""Rows to quotes: receive times, the check against the clock, common scales, the total order."""

from __future__ import annotations

import numpy as np

from shared.inputs.assemble import ordered
from shared.inputs.clock import ClockRule, ahead_of_clock
from shared.inputs.columns.rows import QuoteRows, Rejected
from shared.inputs.columns.scales import common_scale
from shared.wire.instrument_table import Entries
from shared.wire.quotes import NOT_GIVEN, Quotes
from shared.wire.raw_batch import LINE_BITS, RawBatch


def assemble_quotes(
    batch: RawBatch, rows: QuoteRows, rule: ClockRule
) -> tuple[Quotes, list[Rejected]]:
    """Return the batch's quotes in their total order, and those from too far in the future.

    Like `assemble` for ticks: a pure function of the batch and its receive times.
    """
    if not len(rows):
        empty = np.zeros(0, dtype=np.int64)
        return Quotes(batch.source, Entries.of(), *(empty,) * 8), []
    receive = batch.receive_time_us[rows.payload]
    time = np.where(rows.time_us < 0, receive, rows.time_us)
    late = ahead_of_clock(batch, time, rows.payload, rows.line, rule)
    keep = ~late.rows
    sequence = ((batch.first_sequence + rows.payload) << LINE_BITS) + rows.line
    price = common_scale(rows.symbol, rows.price_scale, keep, rows.bid, rows.ask)
    is_given = [size != NOT_GIVEN for size in (rows.bid_size, rows.ask_size)]
    size = common_scale(
        rows.symbol,
        rows.size_scale,
        keep,
        np.where(is_given[0], rows.bid_size, 0),
        np.where(is_given[1], rows.ask_size, 0),
    )
    bid_size, ask_size = (
        np.where(s, each, NOT_GIVEN) for s, each in zip(is_given, size.mantissas, strict=True)
    )
    bid, ask = price.mantissas
    keys = (sequence, receive, rows.update_id, time)
    order, entries = ordered(rows, keep, keys, price, size, 1)
    return Quotes(
        batch.source,
        entries,
        time[order],
        bid[order],
        ask[order],
        bid_size[order],
        ask_size[order],
        rows.update_id[order],
        receive[order],
        sequence[order],
    ), late.rejected
