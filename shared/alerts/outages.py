"""Outages of alerts' destinations: whether one is called, and whether its alerts are retried.

A trigger has 16 events in flight, and those that back off count. Retried for half an hour each, the
alerts to one webhook that is away would delay those to all others, and keep every event of the
Broker in the stream. So after GRACE_S of an outage its alerts become dead letters at once, and one
at a time is sent to find out whether it is over.

Each process knows its own calls only: a new one, or another replica, retries for GRACE_S again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from shared.alerts.notifications import NotificationError
from shared.errors import PermanentError, TransientError

GRACE_S: Final = 120.0
"""Outage of a destination during which every alert is retried."""
FORGET_S: Final = 180.0
"""Without a failure for as long, the next one begins another outage."""


class Outages:
    """The destinations that did not accept their last alert."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, tuple[float, float]] = {}  # destination: first and last
        self._probes: dict[str, float] = {}  # destination that is away: when its call began

    @contextmanager
    def call(self, destination: str) -> Iterator[None]:
        """Call a destination within; no error ends its outage, however long that took.

        Raises NotificationError, and it is not to be called, while the one call of a long outage
        runs; one that hangs for GRACE_S no longer counts.
        """
        now = self._clock()
        with self._lock:
            if now - self._failures.get(destination, (now, now))[0] >= GRACE_S:
                if now - self._probes.get(destination, now - GRACE_S) < GRACE_S:
                    raise NotificationError("is away, and another alert is being sent to it")
                self._probes[destination] = now
        accepted = False
        try:
            yield
            accepted = True
        finally:
            with self._lock:
                self._probes.pop(destination, None)
                if accepted:
                    self._failures.pop(destination, None)

    def failed(self, destinations: Collection[str], reason: str) -> TransientError | PermanentError:
        """Return the error of an alert that some destinations did not accept."""
        now = self._clock()
        with self._lock:
            self._failures = {k: v for k, v in self._failures.items() if now - v[1] < FORGET_S}
            for each in destinations:
                self._failures[each] = (self._failures.get(each, (now, now))[0], now)
            if any(now - self._failures[each][0] < GRACE_S for each in destinations):
                return TransientError(reason)
        return PermanentError("destination_away", f"{reason}; away for {GRACE_S:g} s and more")
