"""Rows to ticks: receive times, the check against the clock, common scales, the canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.inputs.formats import original
from shared.inputs.rejected import Rejected
from shared.inputs.rows import Rows
from shared.inputs.scales import common_scale
from shared.instruments import NO_MARKET, Market
from shared.raw import LINE_BITS, RawBatch
from shared.ticks import Entry, Int64s, Texts, Ticks


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
    late = ahead_of_clock(batch, time, rows.payload, rows.line, rule)
    keep = ~late.rows
    sequence = ((batch.first_sequence + rows.payload) << LINE_BITS) + rows.line
    (price,), price_scale, price_apart = common_scale(
        rows.symbol, rows.price_scale, keep, rows.price
    )
    (size,), size_scale, size_apart = common_scale(rows.symbol, rows.size_scale, keep, rows.size)
    symbol = by_name(rows.names, rows.symbol)
    kept = np.flatnonzero(keep)
    keys = [sequence, receive, *_text_rank(rows.text), rows.trade_id, rows.id_kind, time]
    keys += [size_apart, price_apart, symbol]
    order = kept[np.lexsort([key[kept] for key in keys])]
    group = np.stack([symbol, price_apart, size_apart])[:, order]
    instruments = rows.symbol[order]
    entries = runs(
        rows.names, rows.markets, instruments, price_scale[order], size_scale[order], group
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
    ), late.rejected


class Ahead(NamedTuple):
    """Which rows are too far in the future, and what is said of them."""

    rows: NDArray[np.bool_]
    rejected: list[Rejected]


def ahead_of_clock(
    batch: RawBatch, time_us: Int64s, payload: Int64s, line: Int64s, rule: ClockRule
) -> Ahead:
    """Judge rows by the clock of the bridge that received them."""
    skew = time_us - batch.receive_time_us[payload]
    ahead = skew > rule.max_skew_us
    return Ahead(
        ahead,
        [
            Rejected(
                int(payload[row]),
                int(line[row]),
                original(batch, int(payload[row]), int(line[row])),
                "time_in_future",
                f"its time is {int(skew[row]) // 1000} ms ahead of the bridge's clock;"
                f" {rule.max_skew_us // 1000} ms are allowed: check the sender's clock",
            )
            for row in np.flatnonzero(ahead).tolist()
        ],
    )


def by_name(names: Sequence[str], symbol: Int64s) -> Int64s:
    """Return the instruments' numbers in the order of their names, whatever order they came in."""
    if not len(names):
        return symbol
    ranks: Int64s = np.argsort(np.argsort(np.array(names, dtype=object)))
    return ranks[symbol]


def runs(
    names: Sequence[str],
    markets: Sequence[Market],
    symbol: Int64s,
    price_scale: Int64s,
    size_scale: Int64s,
    group: NDArray[np.int64],
) -> tuple[Entry, ...]:
    """Return an entry for each run of rows that have the same column of `group`."""
    n = len(symbol)
    firsts = np.flatnonzero(np.any(np.diff(group, prepend=-1), axis=0)) if n else symbol
    counts = np.diff(np.append(firsts, n))
    return tuple(
        Entry(
            names[int(symbol[first])],
            int(price_scale[first]),
            int(size_scale[first]),
            int(count),
            markets[int(symbol[first])] if markets else NO_MARKET,
        )
        for first, count in zip(firsts.tolist(), counts.tolist(), strict=True)
    )


def _text_rank(text: Texts | None) -> list[Int64s]:
    if text is None:
        return []
    return [np.unique(text.astype(str), return_inverse=True)[1].astype(np.int64)]
