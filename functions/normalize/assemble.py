"""Rows to ticks: receive times, the check against the clock, common scales, the canonical order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from functions.normalize.formats import original
from functions.normalize.rejected import Rejected
from functions.normalize.rows import Rows
from shared.decimals import INT64_MAX
from shared.raw import LINE_BITS, RawBatch
from shared.ticks import Entry, Int64s, Texts, Ticks

_POWERS = 10 ** np.arange(19, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ClockRule:
    """A tick may be at most `max_skew_us` further than the bridge's clock said when it came."""

    max_skew_us: int


def assemble(batch: RawBatch, rows: Rows, rule: ClockRule) -> tuple[Ticks, list[Rejected]]:
    """Return the batch's ticks in canonical order, and the rows from too far in the future.

    A pure function of its arguments: the clock it judges by is the batch's own receive times, so
    that a repetition gives the same bytes.
    """
    receive = batch.receive_time_us[rows.payload]
    time = np.where(rows.time_us < 0, receive, rows.time_us)
    ahead = time > receive + rule.max_skew_us
    late = [
        Rejected(
            int(rows.payload[row]),
            int(rows.line[row]),
            original(batch, int(rows.payload[row]), int(rows.line[row])),
            "time_in_future",
            f"TIME_MS is {int(time[row] - receive[row]) // 1000} ms ahead of the bridge's clock;"
            f" {rule.max_skew_us // 1000} ms are allowed: check the sender's clock",
        )
        for row in np.flatnonzero(ahead).tolist()
    ]
    keep = ~ahead
    sequence = ((batch.first_sequence + rows.payload) << LINE_BITS) + rows.line
    price, price_scale, price_class = _common_scale(rows.symbol, rows.price, rows.price_scale, keep)
    size, size_scale, size_class = _common_scale(rows.symbol, rows.size, rows.size_scale, keep)
    # Instruments in the order of their names, whatever order they came in.
    by_name = np.argsort(np.argsort(np.array(rows.names, dtype=object)))
    symbol = by_name[rows.symbol] if len(rows.names) else rows.symbol
    kept = np.flatnonzero(keep)
    keys = [sequence, receive, *_text_rank(rows.text), rows.trade_id, rows.id_kind, time]
    keys += [size_class, price_class, symbol]
    order = kept[np.lexsort([key[kept] for key in keys])]
    group = np.stack([symbol, price_class, size_class])[:, order]
    firsts = np.flatnonzero(np.any(np.diff(group, prepend=-1), axis=0)) if len(order) else order
    counts = np.diff(np.append(firsts, len(order)))
    entries = tuple(
        Entry(
            rows.names[int(rows.symbol[order[first]])],
            int(price_scale[order[first]]),
            int(size_scale[order[first]]),
            int(count),
        )
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)
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
    ), late


def _common_scale(
    symbol: Int64s, mantissa: Int64s, scale: Int64s, keep: NDArray[np.bool_]
) -> tuple[Int64s, Int64s, Int64s]:
    """Bring each symbol's mantissas to one scale, the largest among its kept rows.

    Where a mantissa would not fit 64 bits at that scale the row keeps its own: mantissa and scale
    as they were, and a class (0 for the common scale, else scale + 1) that sets it apart.
    """
    if not len(symbol):
        return mantissa, scale, scale
    largest = np.zeros(int(symbol.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, symbol[keep], scale[keep])
    common = largest[symbol]
    step = np.clip(common - scale, 0, None)
    power = _POWERS[np.minimum(step, 18)]
    fits = (step <= 18) & (np.abs(mantissa) <= INT64_MAX // power)
    return (
        np.where(fits, mantissa * np.where(fits, power, 1), mantissa),
        np.where(fits, common, scale),
        np.where(fits, 0, scale + 1),
    )


def _text_rank(text: Texts | None) -> list[Int64s]:
    if text is None:
        return []
    return [np.unique(text.astype(str), return_inverse=True)[1].astype(np.int64)]
