"""Trade identity: instrument, venue, trade id and UTC minute of event time; counted once.

Venues restart their ids, some daily, so the id alone is not enough. Of a trade that was sent
several times, with any content, the first in the total order counts; unless its venue has cancelled
or corrected it: then the last received bust counts. Ticks without a trade id are all distinct.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.wire.ticks import ENDING, NO_ID, TEXT_ID, Int64s, Ticks

MINUTE_US: Final = 60_000_000

Hashes = NDArray[np.uint64]

_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(31)


def each_once(batches: Sequence[Ticks]) -> list[Ticks]:
    """Drop repeated trades, within batches and across them."""
    drop = _repetitions(batches) if batches else ()
    if not len(drop):
        return [batch for batch in batches if len(batch)]
    keep = np.ones(sum(map(len, batches)), dtype=bool)
    keep[drop] = False
    parts = np.split(keep, np.cumsum([len(batch) for batch in batches])[:-1])
    deduplicated = [
        batch if part.all() else batch.select(part)
        for batch, part in zip(batches, parts, strict=True)
    ]
    return [batch for batch in deduplicated if len(batch)]


def id_hashes(ticks: Ticks) -> Hashes:
    """Return a hash of each row's trade id, equal for equal ids."""
    return _mixed(_ids(ticks), ticks.trade_id_kind.astype(np.int64))


def _repetitions(batches: Sequence[Ticks]) -> NDArray[np.intp]:
    """Return the rows to drop, numbered across all batches."""
    kind = _joined(batches, "trade_id_kind")
    with_id = np.flatnonzero(kind != NO_ID)
    if not len(with_id):
        return with_id
    markets = _markets(batches)[with_id]
    minute = _joined(batches, "event_time_us")[with_id] // MINUTE_US
    hashes = _mixed(np.concatenate([_ids(batch) for batch in batches])[with_id], minute, markets)
    in_order = np.sort(hashes)
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if not len(twice):
        return np.zeros(0, dtype=np.intp)
    candidates = np.flatnonzero(np.isin(hashes, twice))
    rows = with_id[candidates]
    trade = (markets[candidates], minute[candidates], kind[rows], _exact_ids(batches, rows))
    keys = [batch.order_keys(np.arange(len(batch))) for batch in batches]
    key = list(np.concatenate(keys)[rows].T)
    ending = (_joined(batches, "flags")[rows] & ENDING) != 0
    if ending.any():  # busts first, the last received one leading
        last = [~each for each in key[2:]]
        key = [np.where(ending, a, b) for a, b in zip(last + key[:2], key, strict=True)]
        key = [~ending, *key]
    order = np.lexsort((*key[::-1], *trade[::-1]))
    is_repeat = np.ones(len(order), dtype=bool)
    is_repeat[:1] = False
    for column in trade:
        is_repeat[1:] &= column[order][1:] == column[order][:-1]
    repeats: NDArray[np.intp] = rows[order[is_repeat]]
    return repeats


def _joined(batches: Sequence[Ticks], name: str) -> Any:
    return np.concatenate([getattr(batch, name) for batch in batches])


def _markets(batches: Sequence[Ticks]) -> Int64s:
    """Return a number for each row's instrument and venue."""
    numbers: dict[tuple[str, str], int] = {}
    parts = []
    for batch in batches:
        entries = batch.entries
        markets = zip(entries.names, entries.venues, strict=True)
        of_entry = [numbers.setdefault(key, len(numbers)) for key in markets]
        parts.append(np.repeat(np.array(of_entry, dtype=np.int64), entries.counts))
    return np.concatenate(parts)


def _ids(ticks: Ticks) -> Int64s:
    """Return ids as integers: for text, 64 bits of its digest."""
    texts = np.flatnonzero(ticks.trade_id_kind == TEXT_ID)
    if not len(texts):
        return ticks.trade_id
    assert ticks.trade_id_text is not None
    ids = ticks.trade_id.copy()
    digests = b"".join(
        hashlib.blake2b(str(text).encode(), digest_size=8).digest()
        for text in ticks.trade_id_text[texts]
    )
    ids[texts] = np.frombuffer(digests, dtype=np.int64)
    return ids


def _exact_ids(batches: Sequence[Ticks], rows: NDArray[np.intp]) -> Int64s:
    """Return numbers that are equal exactly if ids of one kind are."""
    ids: Int64s = _joined(batches, "trade_id")[rows]
    texts = np.flatnonzero(_joined(batches, "trade_id_kind")[rows] == TEXT_ID)
    if len(texts):
        texts_ = np.concatenate(
            [
                np.full(len(b), "", dtype=object) if b.trade_id_text is None else b.trade_id_text
                for b in batches
            ]
        )
        ids[texts] = np.unique(texts_[rows[texts]].astype(str), return_inverse=True)[1]
    return ids


def _mixed(*columns: Int64s) -> Hashes:
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed = (mixed ^ column.view(np.uint64)) * _FACTOR
        mixed ^= mixed >> _SHIFT
    return mixed
