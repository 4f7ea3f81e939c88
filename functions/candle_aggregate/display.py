"""What a step changed, for screens: trades and open candles of watched instruments. Best effort.

What a process holds back here is lost with it, and nothing is missed but a moment on a screen: the
next trade, or the closed candle, says it again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from typing import Final

import numpy as np

from shared import events
from shared.adapter.event import OutgoingEvent
from shared.candle import Candle
from shared.candle_columns import encode_batch
from shared.ticks import Ticks
from shared.watched import Selection, Watched

CANDLES_AN_EVENT: Final = 500


class Display:
    """Events for Broker display. `every_us`: how often the state of an open candle is shown."""

    def __init__(self, watched: Watched, every_us: int) -> None:
        self._watched = watched
        self._every_us = every_us
        self._pending: dict[tuple[str, str], Candle] = {}
        self._next_us: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def events(
        self,
        shard: int,
        ticks: Sequence[tuple[str, Ticks]],
        candles: Sequence[Candle],
        now_us: int,
    ) -> list[OutgoingEvent]:
        """Return what a step of a shard shows: its tick batches, by event id, and its candles.

        Only of watched instruments. Closed candles pass at once, an open one when its turn comes.
        """
        names = self._watched.of(shard)
        if not names:
            return []
        received_us = max((int(each.receive_time_us.max()) for _, each in ticks), default=0)
        shown = [self._tick_event(f"{id_}/{shard}", each, names) for id_, each in ticks]
        some = [each for each in candles if names.selects(each.instrument)]
        return [*filter(None, shown), *self._candle_events(self._due(some, now_us), received_us)]

    def _tick_event(self, id_: str, ticks: Ticks, names: Selection) -> OutgoingEvent | None:
        of_entry = [names.selects(entry.name) for entry in ticks.entries]
        if not any(of_entry):
            return None
        if not all(of_entry):
            ticks = ticks.select(np.repeat(of_entry, [entry.count for entry in ticks.entries]))
        return OutgoingEvent.packed(f"{id_}/display", events.TICKS, ticks.encode())

    def _due(self, candles: Sequence[Candle], now_us: int) -> list[Candle]:
        """Return closed candles, and open ones whose turn it is, earlier ones included."""
        with self._lock:
            for each in candles:
                name = (each.instrument, each.timeframe)
                known = self._pending.get(name)
                if known is not None and _place(each) < _place(known):
                    continue
                if each.closed:
                    self._pending.pop(name, None)
                else:
                    self._pending[name] = each
            due = [name for name in self._pending if self._next_us.get(name, 0) <= now_us]
            for name in due:
                self._next_us[name] = now_us + self._every_us
            opened = [self._pending.pop(name) for name in due]
            if len(self._next_us) > 2 * len(self._pending) + 1_000:
                self._next_us = {n: us for n, us in self._next_us.items() if us > now_us}
        return [each for each in candles if each.closed] + opened

    def _candle_events(self, candles: Sequence[Candle], received_us: int) -> list[OutgoingEvent]:
        """Return events that are named by what they say: same content, same id."""
        found = []
        for first in range(0, len(candles), CANDLES_AN_EVENT):
            body = encode_batch(list(candles[first : first + CANDLES_AN_EVENT]))
            id_ = f"display/{hashlib.sha256(body).hexdigest()[:32]}"
            about = {events.RECEIVED: str(received_us)} if received_us else {}
            found.append(OutgoingEvent.packed(id_, events.CANDLES, body, about))
        return found


def _place(candle: Candle) -> tuple[int, int]:
    return candle.start_us, candle.revision
