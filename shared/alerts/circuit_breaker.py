"""Circuit breakers of alerts' destinations: whether one is called, and alerts to it are retried.

A trigger has 16 events in flight, and those that back off count. Retried for half an hour each, the
alerts to one webhook that is away would delay those to all others, and keep every event of the
Broker in the stream. So once an outage has lasted GRACE_S, and two failures CONFIRM_S apart
followed, its alerts become dead letters at once, and one at a time finds out whether it is over.

Each process knows its own calls only: a new one, or another replica, retries for GRACE_S again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from shared.alerts.notifications import NotificationError
from shared.errors import PermanentError, TransientError

GRACE_S: Final = 120.0
"""Outage of a destination during which every alert is retried."""
CONFIRM_S: Final = 15.0
"""Time between two failures after that: one alone may be a hiccup, as the first may have been."""
FORGET_S: Final = 180.0
"""Without a failure for as long, the next one begins another outage."""
YOUNG_S: Final = 3.0
"""Age of a call up to which its destination may well accept it."""


@dataclass(slots=True)
class _Outage:
    first: float
    last: float
    after_grace: float | None = None  # first failure after GRACE_S

    def fail(self, now: float) -> None:
        self.last = now
        if self.after_grace is None and now - self.first >= GRACE_S:
            self.after_grace = now

    def is_long(self, now: float) -> bool:
        return self.after_grace is not None and now - self.after_grace >= CONFIRM_S


class CircuitBreakers:
    """Of every destination that did not accept its last alert; open in a long outage."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outages: dict[str, _Outage] = {}
        self._calls: dict[object, tuple[str, float]] = {}  # running: destination, when it began

    @contextmanager
    def call(self, destination: str) -> Iterator[None]:
        """Call a destination within; no error ends its outage, however long that took.

        Raises NotificationError, and it is not to be called, while another call of a long outage
        runs; one that hangs for GRACE_S no longer counts.
        """
        now = self._clock()
        call = object()
        with self._lock:
            self._outages = {k: v for k, v in self._outages.items() if now - v.last < FORGET_S}
            if self._is_long(destination, now) and self._runs(destination, now, GRACE_S):
                raise NotificationError("is away, and another alert is being sent to it")
            self._calls[call] = destination, now
        accepted = False
        try:
            yield
            accepted = True
        finally:
            with self._lock:
                del self._calls[call]
                if accepted:
                    self._outages.pop(destination, None)
                else:
                    self._fail(destination, self._clock())

    def failed(self, destinations: Collection[str], reason: str) -> TransientError | PermanentError:
        """Return the error of an alert that some destinations did not accept.

        It is retried while one of them has no long outage, or may be about to accept another alert.
        """
        now = self._clock()
        with self._lock:
            for to, began in self._calls.values():
                if to in destinations and now - began >= YOUNG_S:
                    self._fail(to, now)  # it hangs
            if all(
                self._is_long(each, now) and not self._runs(each, now, YOUNG_S)
                for each in destinations
            ):
                text = f"{reason}; away for {GRACE_S:g} s and more"
                return PermanentError("destination_away", text)
        return TransientError(reason)

    def _is_long(self, destination: str, now: float) -> bool:
        return destination in self._outages and self._outages[destination].is_long(now)

    def _runs(self, destination: str, now: float, younger_s: float) -> bool:
        return any(
            to == destination and now - began < younger_s for to, began in self._calls.values()
        )

    def _fail(self, destination: str, now: float) -> None:
        self._outages.setdefault(destination, _Outage(now, now)).fail(now)
