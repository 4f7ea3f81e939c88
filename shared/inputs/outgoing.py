"""Events of ticks and rejects, within the broker's size limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from shared.adapter.event import OutgoingEvent
from shared.inputs.columns.rows import Rejected
from shared.wire import events, rejects
from shared.wire.quotes import Quotes
from shared.wire.raw_batch import LINE_BITS, RawBatch
from shared.wire.ticks import Ticks

STAGE = "normalize"
"""Stage name in the ids of events derived from a raw event, whoever derives them."""

T = TypeVar("T")
Columns = TypeVar("Columns", Ticks, Quotes)


def tick_events(
    cause: str, name: str, ticks: Ticks, carried: Mapping[str, str] | None = None
) -> Iterator[OutgoingEvent]:
    """Yield events of the ticks; `carried`: extensions of the source event."""
    if not len(ticks):
        return
    for n, piece in enumerate(fitting(ticks, Ticks.encode, halves)):
        id_ = f"{cause}/{STAGE}/{name}.{n}"
        yield OutgoingEvent.packed(id_, events.TICKS, piece, dict(carried or {}))


def reject_events(
    cause: str,
    batch: RawBatch,
    rejected: Sequence[Rejected],
    carried: Mapping[str, str] | None = None,
) -> Iterator[OutgoingEvent]:
    """Yield events of the rejects, in batch order; `carried` as for ticks."""
    if not rejected:
        return
    items = [
        rejects.Reject(
            r.original,
            r.code,
            r.detail,
            int(batch.receive_time_us[r.payload]),
            ((batch.first_sequence + r.payload) << LINE_BITS) + r.line,
            batch.format,
        )
        for r in sorted(rejected, key=lambda r: (r.payload, r.line))
    ]
    pieces = fitting(items, lambda chunk: rejects.encode(batch.source, chunk), two_halves)
    for n, piece in enumerate(pieces):
        id_ = f"{cause}/{STAGE}/rejects.{n}"
        yield OutgoingEvent.packed(id_, events.REJECTS, piece, dict(carried or {}))


def two_halves(items: list[T]) -> tuple[list[T], list[T]]:
    """Split a list in two."""
    return items[: len(items) // 2], items[len(items) // 2 :]


def halves(whole: Columns) -> tuple[Columns, Columns]:
    """Split columns in two."""
    first = np.arange(len(whole)) < len(whole) // 2
    return whole.select(first), whole.select(~first)


def fitting(
    whole: T, encode: Callable[[T], bytes], halve: Callable[[T], tuple[T, T]]
) -> Iterator[bytes]:
    """Encode in as many pieces as needed for each to fit one event, even uncompressed."""
    body = encode(whole)
    if len(body) <= events.MAX_EVENT_BYTES or len(whole) < 2:  # type: ignore[arg-type]
        yield body
        return
    for half in halve(whole):
        yield from fitting(half, encode, halve)
