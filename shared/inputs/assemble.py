"""Rows to ticks: receive times, clock check, common scales, canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.inputs.clock import ClockRule, ahead_of_clock
from shared.inputs.columns.rows import QuoteRows, Rejected, Rows, flags_of
from shared.inputs.columns.scales import Scaled, common_scale
from shared.market.decimals import INT64_MAX
from shared.market.order import NO_ORDER_ID
from shared.market.shards import shards_of
from shared.wire.instrument_table import Entries
from shared.wire.raw_batch import LINE_BITS, RawBatch
from shared.wire.ticks import INTEGER_ID, Int64s, Mantissas, Ticks


class Assembled(NamedTuple):
    """Ticks in canonical order; those of instruments with a mantissa beyond 64 bits in `wide`."""

    ticks: Ticks
    wide: Ticks | None
    rejected: list[Rejected]


def assemble(batch: RawBatch, rows: Rows, rule: ClockRule, shards: int) -> Assembled:
    """Return the batch's ticks divided among `shards`, and the rows too far in the future.

    A pure function of its arguments: the clock is the batch's own receive times, so that a
    redelivery gives the same bytes.
    """
    receive = batch.receive_time_us[rows.payload]
    time = np.where(rows.time_us < 0, receive, rows.time_us)
    late = ahead_of_clock(batch, time, rows.payload, rows.line, rule)
    keep = ~late.rows
    wide = keep & _of_wide_instruments(rows, keep)
    columns = (batch, rows, time, receive, shards)
    ticks = _sorted(keep & ~wide, *columns)
    return Assembled(ticks, _sorted(wide, *columns) if wide.any() else None, late.rejected)


def _of_wide_instruments(rows: Rows, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows are of instruments with a mantissa beyond 64 bits."""
    wide = np.zeros(len(rows.names), dtype=bool)
    for mantissa in (rows.price, rows.size):
        if mantissa.dtype == object:
            wide[rows.symbol[keep & (np.abs(mantissa) > INT64_MAX)]] = True
    return wide[rows.symbol]


def _sorted(
    keep: NDArray[np.bool_], batch: RawBatch, rows: Rows, time: Int64s, receive: Int64s, shards: int
) -> Ticks:
    """Return the kept rows in canonical order, as 64-bit mantissas if all of them fit."""
    price = common_scale(rows.symbol, rows.price_scale, keep, _narrow(rows.price, keep))
    size = common_scale(rows.symbol, rows.size_scale, keep, _narrow(rows.size, keep))
    sequence = ((batch.first_sequence + rows.payload) << LINE_BITS) + rows.line
    ids = np.where(rows.id_kind == INTEGER_ID, rows.trade_id, NO_ORDER_ID)
    order, entries = ordered(rows, keep, (sequence, receive, ids, time), price, size, shards)
    return Ticks(
        batch.source,
        entries,
        time[order],
        price.mantissas[0][order],
        size.mantissas[0][order],
        rows.side[order],
        rows.id_kind[order],
        rows.trade_id[order],
        None if rows.text is None else rows.text[order],
        receive[order],
        sequence[order],
        flags_of(rows)[order],
    )


def _narrow(mantissa: Mantissas, keep: NDArray[np.bool_]) -> Mantissas:
    """Return the column in 64 bits if all of its kept rows fit; the others become 0 then."""
    if mantissa.dtype != object:
        return mantissa
    masked = np.where(keep, mantissa, 0)
    return masked.astype(np.int64) if (np.abs(masked) <= INT64_MAX).all() else masked


def ordered(
    rows: Rows | QuoteRows,
    keep: NDArray[np.bool_],
    keys: Sequence[Int64s],
    price: Scaled,
    size: Scaled,
    shards: int,
) -> tuple[Int64s, Entries]:
    """Return the kept rows sorted by shard, instrument and scales, then by `keys`, the last first.

    Also returns their entries.
    """
    names, of_shard = rows.names, shards_of(rows.names, shards)
    by_shard = sorted(zip(of_shard.tolist(), names, range(len(names)), strict=True))
    # Numbers of up to 16 bits are sorted by radix.
    place = np.empty(len(names), dtype=np.min_scalar_type(len(names)))
    place[[n for _, _, n in by_shard]] = np.arange(len(names))
    group = (size.apart, price.apart, place[rows.symbol])
    kept = np.flatnonzero(keep)
    order = kept[np.lexsort([key[kept] for key in (*keys, *group)])]
    is_first = np.ones(len(order), dtype=bool)
    in_order = [column[order] for column in group]
    is_first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in in_order])
    starts = np.flatnonzero(is_first)
    firsts = order[starts]
    numbers = rows.symbol[firsts]
    return order, Entries(
        tuple(names[n] for n in numbers.tolist()),
        price.scale[firsts],
        size.scale[firsts],
        np.diff(starts, append=len(order)),
        tuple(rows.markets[n] for n in numbers.tolist()) if rows.markets else (),
        np.bincount(of_shard[numbers], minlength=shards),
    )
