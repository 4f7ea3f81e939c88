"""A trade is its instrument, venue, trade id and UTC minute of event time: each counts once.

Venues begin their ids anew, some each day, so the id alone is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.decimals import from_mantissa
from shared.ticks import NO_ID, TEXT_ID, Int64s, Ticks

MINUTE_US: Final = 60_000_000


def each_once(batches: Sequence[Ticks]) -> list[Ticks]:
    """Drop what repeats a trade, within batches and across them; batches of one instrument.

    Of a trade that was sent several times, with whatever content, the first in the total order
    stays. Ticks without a trade id all stay.
    """
    if not batches:
        return []
    rows, starts = _repeated(batches)
    if not len(rows):
        return list(batches)
    drop = np.ones(len(rows), dtype=bool)
    drop[starts] = False
    keep = np.ones(sum(len(batch) for batch in batches), dtype=bool)
    keep[rows[drop]] = False
    parts = np.split(keep, np.cumsum([len(batch) for batch in batches])[:-1])
    kept = [
        batch if part.all() else batch.select(part)
        for batch, part in zip(batches, parts, strict=True)
    ]
    return [batch for batch in kept if len(batch)]


def contradictions(batches: Sequence[Ticks]) -> Iterator[int]:
    """Yield the event times (us) of trades that were sent with more than one content."""
    rows, starts = _repeated(batches)
    if not len(rows):
        return
    ends = np.append(starts[1:], len(rows))
    offsets = np.cumsum([0, *(len(batch) for batch in batches)])
    batch_of = np.searchsorted(offsets, rows, side="right") - 1
    places = list(zip(batch_of.tolist(), (rows - offsets[batch_of]).tolist(), strict=True))
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        contents = {_content(batches[batch], row) for batch, row in places[a:b]}
        if len(contents) > 1:
            yield from sorted({content[0] for content in contents})


def _repeated(batches: Sequence[Ticks]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of all batches whose trade stands there more than once, and where each begins.

    Rows are numbered through all batches; those of a trade stand together, in the total order.
    """
    kind = np.concatenate([batch.trade_id_kind for batch in batches])
    with_id = np.flatnonzero(kind != NO_ID)
    kind = kind[with_id]
    minute = np.concatenate([batch.event_time_us for batch in batches])[with_id] // MINUTE_US
    id_ = _comparable_ids(batches)[with_id]
    venue = _venues(batches)[with_id]
    order = np.lexsort((id_, venue, kind, minute))
    same = _same_as_before(minute[order], kind[order], venue[order], id_[order])
    several = same | np.append(same[1:], False)
    some = with_id[order[several]]
    if not len(some):
        return some, some
    columns = (
        np.concatenate([batch.sequence for batch in batches])[some],
        np.repeat([batch.source_key for batch in batches], [len(b) for b in batches])[some],
        np.concatenate([batch.receive_time_us for batch in batches])[some],
        np.concatenate([batch.event_time_us for batch in batches])[some],
        np.cumsum(~same[several]),
    )
    sorted_ = np.lexsort(columns)
    group = columns[-1][sorted_]
    return some[sorted_], np.flatnonzero(np.append(True, group[1:] != group[:-1]))


def _comparable_ids(batches: Sequence[Ticks]) -> Int64s:
    """Return ids as integers that are equal when the ids of one kind are."""
    ids = np.concatenate([batch.trade_id for batch in batches])
    kind = np.concatenate([batch.trade_id_kind for batch in batches])
    texts = np.flatnonzero(kind == TEXT_ID)
    if len(texts):
        every = np.concatenate(
            [
                np.full(len(b), "", dtype=object) if b.trade_id_text is None else b.trade_id_text
                for b in batches
            ]
        )
        ids[texts] = np.unique(every[texts].astype(str), return_inverse=True)[1]
    return ids


def _venues(batches: Sequence[Ticks]) -> Int64s:
    """Return each row's venue as a number."""
    numbers: dict[str, int] = {}
    return np.concatenate(
        [
            np.repeat(
                np.array(
                    [numbers.setdefault(v, len(numbers)) for v in batch.entries.venues],
                    dtype=np.int64,
                ),
                batch.entries.counts,
            )
            for batch in batches
        ]
    )


def _same_as_before(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    same = np.zeros(len(columns[0]), dtype=bool)
    same[1:] = True
    for column in columns:
        same[1:] &= column[1:] == column[:-1]
    return same


def _content(batch: Ticks, row: int) -> tuple[int, object, object, int]:
    for entry, rows in batch.runs():
        if rows.start <= row < rows.stop:
            return (
                int(batch.event_time_us[row]),
                from_mantissa(int(batch.price[row]), entry.price_scale),
                from_mantissa(int(batch.size[row]), entry.size_scale),
                int(batch.side[row]),
            )
    raise IndexError(row)
