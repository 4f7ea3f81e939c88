"""First and last tick time of each instrument, written with the ticks that move it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from psycopg import Connection

from shared.reading.ranges import COARSE_US
from shared.stores.first_ticks import NOTE_TIMES
from shared.wire.ticks import Ticks

_MOST_REMEMBERED: Final = 1_000_000


class Times(NamedTuple):
    """First and last event time, us since 1970."""

    first_us: int
    last_us: int


class InstrumentTimes:
    """Caches the written times, so that a batch in the usual order costs no statement."""

    def __init__(self) -> None:
        self._written: dict[str, Times] = {}

    def move(self, connection: Connection, batches: Sequence[Ticks]) -> dict[str, Times]:
        """Write times that are earlier, or much later, than the stored ones.

        Returns them, for `remember` after the commit.
        """
        moved: dict[str, Times] = {}
        for ticks in batches:
            ends = np.cumsum(ticks.entries.counts)
            firsts = ticks.event_time_us[ends - ticks.entries.counts].tolist()
            lasts = ticks.event_time_us[ends - 1].tolist()
            for name, first_us, last_us in zip(ticks.names, firsts, lasts, strict=True):
                previous = moved.get(name) or self._written.get(name)
                if previous is None:
                    moved[name] = Times(first_us, last_us)
                elif first_us < previous.first_us or last_us >= previous.last_us + COARSE_US:
                    moved[name] = Times(
                        min(first_us, previous.first_us), max(last_us, previous.last_us)
                    )
        if moved:
            # In one order everywhere, so that two workers cannot hold each other's rows.
            names = sorted(moved)
            firsts = [moved[name].first_us for name in names]
            connection.execute(NOTE_TIMES, (names, firsts, [moved[name].last_us for name in names]))
        return moved

    def remember(self, moved: dict[str, Times]) -> None:
        """Cache committed times."""
        if len(self._written) + len(moved) > _MOST_REMEMBERED:
            self._written.clear()
        for name, times in moved.items():
            previous = self._written.get(name, times)
            self._written[name] = Times(
                min(times.first_us, previous.first_us), max(times.last_us, previous.last_us)
            )
