"""Events that wait for each other are applied together: one step for all that have come meanwhile.

Steps of one instrument exclude each other, so a second worker would only conflict. Instead whoever
has the turn takes all waiting events. A step costs the candles that it touches, whatever the number
of events, so the stage grows faster as more of them wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from functions.candle_aggregate.apply import TickEvent
from functions.candle_aggregate.merge import Applied
from shared.errors import TransientError

ApplyAll = Callable[[Sequence[TickEvent]], tuple[Applied, list[str]]]


@dataclass(slots=True, eq=False)
class _Waiting:
    event: TickEvent
    applied: Applied | None = None
    repeated: bool = False
    error: Exception | None = None
    done: bool = False


class Group:
    """Takes events from many threads and gives them to `apply_all` in groups.

    A group holds at most `max_ticks`, but for a single event that is larger.
    """

    def __init__(self, apply_all: ApplyAll, max_ticks: int) -> None:
        self._apply_all = apply_all
        self._max_ticks = max_ticks
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def apply(self, event: TickEvent) -> Applied | None:
        """Return what the event's group changed, None when the event was applied before.

        All events of a group get the same closed and late candles, since each is answered for what
        it caused; open ones, which are only shown, go to one of them. Raises what `apply_all`
        raised.
        """
        here = _Waiting(event)
        with self._lock:
            self._waiting.append(here)
        while not here.done:
            with self._turn:
                if not here.done:
                    self._run(self._take())
        if here.error is not None:
            raise here.error
        return None if here.repeated else here.applied

    def _take(self) -> list[_Waiting]:
        """Take the events that waited longest; a second delivery of one waits for a later turn."""
        with self._lock:
            taken: list[_Waiting] = []
            ids: set[str] = set()
            ticks = 0
            for each in list(self._waiting):
                size = len(each.event.ticks)
                if taken and ticks + size > self._max_ticks:
                    break
                if each.event.id in ids:
                    continue
                taken.append(each)
                ids.add(each.event.id)
                ticks += size
                self._waiting.remove(each)
            return taken

    def _run(self, group: list[_Waiting]) -> None:
        try:
            applied, repeated = self._apply_all([each.event for each in group])
        except TransientError as error:
            for each in group:
                each.error, each.done = error, True
            return
        except Exception as error:  # noqa: BLE001 (raised by the event's own thread)
            if len(group) == 1:
                group[0].error, group[0].done = error, True
                return
            for each in group:  # one of them is at fault: the others must not suffer for it
                self._run([each])
            return
        without_open = Applied(applied.closed, {}, applied.late)
        first = True
        for each in group:
            each.repeated = each.event.id in repeated
            each.applied = applied if first else without_open
            first = first and each.repeated
            each.done = True
