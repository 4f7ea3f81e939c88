"""Rows to ticks: receive times, clock check, common scales, canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.inputs.clock import ClockRule, ahead_of_clock
from shared.inputs.columns.rows import Rejected, Rows, flags_of
from shared.inputs.columns.scales import common_scale
from shared.market.decimals import INT64_MAX
from shared.market.instruments import Market
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
    (price,), price_scale, price_apart = common_scale(
        rows.symbol, rows.price_scale, keep, _narrow(rows.price, keep)
    )
    (size,), size_scale, size_apart = common_scale(
        rows.symbol, rows.size_scale, keep, _narrow(rows.size, keep)
    )
    sequence = ((batch.first_sequence + rows.payload) << LINE_BITS) + rows.line
    symbol, of_shard = by_shard(rows.names, rows.symbol, shards)
    rows_kept = np.flatnonzero(keep)
    ids = np.where(rows.id_kind == INTEGER_ID, rows.trade_id, NO_ORDER_ID)
    keys = (sequence, receive, ids, time, size_apart, price_apart, symbol)
    order = rows_kept[np.lexsort([key[rows_kept] for key in keys])]
    group = np.stack([symbol, price_apart, size_apart])[:, order]
    entries = runs(
        rows.names,
        rows.markets,
        rows.symbol[order],
        price_scale[order],
        size_scale[order],
        group,
        of_shard,
        shards,
    )
    return Ticks(
        batch.source,
        entries,
        time[order],
        price[order],
        size[order],
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


def by_shard(names: Sequence[str], symbol: Int64s, shards: int) -> tuple[Int64s, Int64s]:
    """Return each row's instrument position by (shard, name), and the shard of each name."""
    of_name = shards_of(names, shards)
    if not len(names):
        return symbol, of_name
    ordered = sorted(zip(of_name.tolist(), names, range(len(names)), strict=True))
    positions = np.empty(len(names), dtype=np.int64)
    positions[[n for _, _, n in ordered]] = np.arange(len(names))
    return positions[symbol], of_name


def runs(
    names: Sequence[str],
    markets: Sequence[Market],
    symbol: Int64s,
    price_scale: Int64s,
    size_scale: Int64s,
    group: NDArray[np.int64],
    of_shard: Int64s,
    shards: int,
) -> Entries:
    """Return an entry for each run of rows that have the same column of `group`."""
    n = len(symbol)
    is_first = np.ones(n, dtype=bool)
    is_first[1:] = (group[:, 1:] != group[:, :-1]).any(axis=0)
    firsts = np.flatnonzero(is_first)
    run_symbol = symbol[firsts]
    run_numbers = run_symbol.tolist()
    return Entries(
        tuple(names[number] for number in run_numbers),
        price_scale[firsts],
        size_scale[firsts],
        np.diff(np.append(firsts, n)),
        tuple(markets[number] for number in run_numbers) if markets else (),
        np.bincount(of_shard[run_symbol], minlength=shards),
    )
