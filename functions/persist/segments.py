"""Ticks to segments: one row per instrument entry and UTC day, columns as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from shared.stores.arrays import Bigints, Smallints
from shared.ticks import INTEGER_ID, TEXT_ID, Int64s, Ticks

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of `tick_segments`, in the order of its columns."""

    day: date
    event_id: str
    part: int
    instrument: str
    source: str
    price_scale: int
    size_scale: int
    tick_count: int
    first_time_us: int
    last_time_us: int
    event_time_us: Bigints
    price: Bigints | None
    size: Bigints | None
    price_wide: list[int] | None
    size_wide: list[int] | None
    side: Smallints | None
    trade_id: Bigints | None
    trade_id_text: list[str] | None
    trade_id_kind: Smallints | None
    trade_id_kind_all: int | None
    receive_time_us: Bigints
    sequence: Bigints
    flags: Smallints | None
    venue: str


def days_of(event_time_us: Int64s, rows: slice) -> Iterator[tuple[date, slice]]:
    """Yield the UTC days of a run of rows in the order of time, each with its rows."""
    day = event_time_us[rows] // DAY_US
    if not len(day):
        return
    firsts = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    lasts = np.append(firsts[1:], len(day))
    for a, b in zip(firsts.tolist(), lasts.tolist(), strict=True):
        when = datetime.fromtimestamp(int(day[a]) * 86_400, UTC).date()
        yield when, slice(rows.start + a, rows.start + b)


def segments(event_id: str, ticks: Ticks) -> Iterator[Segment]:
    """Yield the event's segments. `part` is the entry's place in the event."""
    for part, (entry, rows) in enumerate(ticks.runs()):
        for day, some in days_of(ticks.event_time_us, rows):
            kind = ticks.trade_id_kind[some]
            alike = bool((kind == kind[0]).all())
            has_text = bool((kind == TEXT_ID).any())
            side = ticks.side[some]
            yield Segment(
                day,
                event_id,
                part,
                entry.name,
                ticks.source,
                entry.price_scale,
                entry.size_scale,
                some.stop - some.start,
                int(ticks.event_time_us[some.start]),
                int(ticks.event_time_us[some.stop - 1]),
                Bigints(ticks.event_time_us[some]),
                None if ticks.price.dtype == object else Bigints(ticks.price[some]),
                None if ticks.size.dtype == object else Bigints(ticks.size[some]),
                ticks.price[some].tolist() if ticks.price.dtype == object else None,
                ticks.size[some].tolist() if ticks.size.dtype == object else None,
                Smallints(side) if side.any() else None,
                Bigints(ticks.trade_id[some]) if (kind == INTEGER_ID).any() else None,
                ticks.trade_id_text[some].tolist()
                if has_text and ticks.trade_id_text is not None
                else None,
                None if alike else Smallints(kind),
                int(kind[0]) if alike else None,
                Bigints(ticks.receive_time_us[some]),
                Bigints(ticks.sequence[some]),
                Smallints(ticks.flags[some]) if ticks.flags[some].any() else None,
                entry.market.venue,
            )
