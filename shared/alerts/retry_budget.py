"""Retry budget: how many alerts to destinations that are away are delivered again.

A trigger has 16 events in flight, and those that back off count. Without a bound, one webhook that
is away for long would delay the alerts to all others, and a consumer that never catches up would
keep every event of its Broker in the stream.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final

from shared.errors import PermanentError, TransientError

GRACE_S: Final = 120.0
"""Outage of a destination during which every alert is retried."""
MOST_RETRIED: Final = 8
"""Alerts that are retried in longer outages: half of `maxAckPending`."""
FORGET_S: Final = 180.0
"""Longer than any backoff: what has not failed again by then is retried no more."""


class RetryBudget:
    """Failures of a process: whether an alert is retried, or kept as a dead letter at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outages: dict[str, tuple[float, float]] = {}  # destination: first and last failure
        self._retried: dict[str, float] = {}  # event id: last failure

    def accepted(self, event_id: str, destinations: Iterable[str]) -> None:
        """End the outages of destinations that accepted an alert, and its retries."""
        with self._lock:
            self._retried.pop(event_id, None)
            for each in destinations:
                self._outages.pop(each, None)

    def failed(
        self, event_id: str, destinations: Collection[str], reason: str
    ) -> TransientError | PermanentError:
        """Return the error of an alert that some destinations did not accept."""
        now = self._clock()
        with self._lock:
            self._outages = {k: v for k, v in self._outages.items() if now - v[1] < FORGET_S}
            self._retried = {k: v for k, v in self._retried.items() if now - v < FORGET_S}
            for each in destinations:
                self._outages[each] = (self._outages.get(each, (now, now))[0], now)
            if any(now - self._outages[each][0] < GRACE_S for each in destinations):
                return TransientError(reason)
            if event_id in self._retried or len(self._retried) < MOST_RETRIED:
                self._retried[event_id] = now
                return TransientError(reason)
        return PermanentError(
            "destination_away", f"{reason}, and {MOST_RETRIED} alerts are retried"
        )
