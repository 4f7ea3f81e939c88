"""Payloads into raw batches, by count, bytes and age; the clock is given, nothing here waits."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from shared import events, raw
from shared.adapter.event import OutgoingEvent


def new_source(kind: str) -> str:
    """Return a name for one life of one process: a restart is a new source."""
    return f"{kind}-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is full at either bound, and due `age_us` after its first payload."""

    payloads: int = 4096
    bytes: int = 256 * 1024
    age_us: int = 20_000


@dataclass(slots=True)
class Batcher:
    """Collects payloads in the order of their receipt and numbers them."""

    source: str
    limits: Limits
    _payloads: list[bytes] = field(default_factory=list)
    _times_us: list[int] = field(default_factory=list)
    _bytes: int = 0
    _next_sequence: int = 0
    _batches: int = 0

    def add(self, payload: bytes, receive_time_us: int) -> bool:
        """Take a payload; return whether the batch is full."""
        self._payloads.append(payload)
        self._times_us.append(receive_time_us)
        self._bytes += len(payload)
        return self._bytes >= self.limits.bytes or len(self._payloads) >= self.limits.payloads

    def is_due(self, now_us: int) -> bool:
        """Return whether the oldest payload has waited long enough."""
        return bool(self._times_us) and now_us - self._times_us[0] >= self.limits.age_us

    @property
    def waiting(self) -> int:
        """Payloads in the batch so far."""
        return len(self._payloads)

    def take(self, event_id: str | None = None) -> OutgoingEvent:
        """Close the batch and return its event, under `event_id` or the next id of the source."""
        body = raw.encode(
            raw.FORMAT_CSV,
            self.source,
            self._next_sequence,
            b"".join(self._payloads),
            [len(payload) for payload in self._payloads],
            self._times_us,
        )
        event = OutgoingEvent.packed(event_id or f"{self.source}-{self._batches}", events.RAW, body)
        self._next_sequence += len(self._payloads)
        self._batches += 1
        self._payloads, self._times_us, self._bytes = [], [], 0
        return event
