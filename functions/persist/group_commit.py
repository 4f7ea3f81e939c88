"""Group commit: events that wait at the same time are stored in one transaction."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.errors import TransientError
from shared.wire.ticks import Ticks

MOST_TICKS: Final = 50_000
"""A group of this many ticks is stored at once."""
MOST_EVENTS: Final = 8
"""So is one of this many events: half of what the trigger delivers at once."""


@dataclass(slots=True)
class _Waiting:
    event_id: str
    ticks: Ticks
    ended: threading.Event = field(default_factory=threading.Event)
    fresh: bool = False
    error: Exception | None = None


class GroupCommit:
    """Stores tick events together, a group each `every_s`.

    The first event of a group waits until the group before began so long ago, then its thread
    stores all that came meanwhile. `write` takes events and returns the ids of those that were not
    stored before.
    """

    def __init__(
        self, write: Callable[[Sequence[tuple[str, Ticks]]], set[str]], every_s: float
    ) -> None:
        self._write = write
        self._every_s = every_s
        self._next_s = 0.0
        self._lock = threading.Lock()
        self._group: list[_Waiting] = []
        self._ticks = 0
        self._filled = threading.Event()

    def __call__(self, event_id: str, ticks: Ticks) -> bool:
        """Store an event; return whether it was not stored before.

        Raises what `write` raises for it.
        """
        entry = _Waiting(event_id, ticks)
        with self._lock:
            leads = not self._group
            self._group.append(entry)
            self._ticks += len(ticks)
            if self._ticks >= MOST_TICKS or len(self._group) >= MOST_EVENTS:
                self._filled.set()
            wait_s = self._next_s - time.monotonic()
        if leads:
            self._filled.wait(max(wait_s, 0))
            with self._lock:
                self._next_s = time.monotonic() + self._every_s
                group, self._group, self._ticks = self._group, [], 0
                self._filled.clear()
            self._store(group)
        entry.ended.wait()
        if entry.error is not None and not isinstance(entry.error, TransientError) and not leads:
            return event_id in self._write([(event_id, ticks)])  # another one's fault, maybe
        if entry.error is not None:
            raise TransientError(str(entry.error)) if not leads else entry.error
        return entry.fresh

    def _store(self, group: list[_Waiting]) -> None:
        try:
            new_ids = self._write([(each.event_id, each.ticks) for each in group])
            for each in group:
                each.fresh = each.event_id in new_ids
                new_ids.discard(each.event_id)  # a second delivery in the group is a repetition
        except Exception as error:  # noqa: BLE001 (each who waits raises it)
            for each in group:
                each.error = error
        finally:
            for each in group:
                each.ended.set()
