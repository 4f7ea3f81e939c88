"""Batching of payloads by count, bytes, lines and age; the clock is a parameter."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from shared.adapter.event import OutgoingEvent
from shared.wire import events
from shared.wire import raw_batch as raw
from shared.wire.compression import FAST

_BYTES_A_PAYLOAD: Final = 80


def new_source(kind: str) -> str:
    """Return a source name for this process: a restart is a new source."""
    return f"{kind}-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Payloads:
    """Payloads in order of receipt.

    `payloads`: all of them, joined; `lengths`: bytes of each; `receive_time_us`: receive times.
    """

    payloads: bytes
    lengths: list[int]
    receive_time_us: list[int]

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Limits:
    """A batch is full at any of the bounds, and due `age_us` after its first payload at the latest.

    A due batch keeps growing while the sink has not answered the previous one, or rests: low
    latency in a quiet market, few events in a busy one. Lines are bounded too, since each may
    become a reject.
    """

    payloads: int = 16_384
    bytes: int = 1024 * 1024
    lines: int = 32_768
    age_us: int = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Payloads under one id, not encoded yet."""

    id: str
    format: int
    source: str
    first_sequence: int
    payloads: bytes
    lengths: list[int]
    receive_time_us: list[int]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def size(self) -> int:
        """Approximate bytes in memory: a payload has a length and a time as well."""
        return len(self.payloads) + _BYTES_A_PAYLOAD * len(self)

    def raw(self) -> raw.RawBatch:
        """Return the batch as a RawBatch."""
        return raw.RawBatch(
            self.format,
            self.source,
            self.first_sequence,
            self.payloads,
            np.array(self.lengths, dtype=np.int64),
            np.array(self.receive_time_us, dtype=np.int64),
        )

    def events(self) -> Iterator[tuple[OutgoingEvent, int]]:
        """Yield the batch's event with its number of payloads.

        It is split into several if it does not compress to the size limit of an event.
        """
        event = OutgoingEvent.packed(self.id, events.RAW, self.raw().encode(), level=FAST)
        if len(event.body) <= events.MAX_EVENT_BYTES or len(self) < 2:
            yield event, len(self)
            return
        half = len(self) // 2
        yield from self._part(0, 0, half).events()
        yield from self._part(1, half, len(self)).events()

    def _part(self, number: int, first: int, end: int) -> Batch:
        start = sum(self.lengths[:first])
        lengths = self.lengths[first:end]
        return Batch(
            f"{self.id}.{number}",
            self.format,
            self.source,
            self.first_sequence + first,
            self.payloads[start : start + sum(lengths)],
            lengths,
            self.receive_time_us[first:end],
        )


@dataclass(slots=True)
class Batcher:
    """Collects and numbers payloads of one format in order of receipt."""

    source: str
    limits: Limits
    format: int = raw.FORMAT_CSV
    _payloads: list[bytes] = field(default_factory=list)
    _lengths: list[int] = field(default_factory=list)
    _times_us: list[int] = field(default_factory=list)
    _bytes: int = 0
    _lines: int = 0
    _since_us: int = 0
    _next_sequence: int = 0
    _batches: int = 0

    def add(self, received: Payloads, now_us: int) -> Iterator[Batch]:
        """Add payloads; yield each full batch. Exhaust it to add all."""
        first, start = 0, 0
        while first < len(received):
            if not self._lengths:
                self._since_us = now_us
            count, size, lines = self._fitting(received, first, start)
            end = first + count
            whole = count == len(received)
            self._payloads.append(
                received.payloads if whole else received.payloads[start : start + size]
            )
            self._lengths += received.lengths[first:end]
            self._times_us += received.receive_time_us[first:end]
            self._bytes += size
            self._lines += lines
            first, start = end, start + size
            limits = self.limits
            if (
                first < len(received)
                or self._bytes >= limits.bytes
                or len(self._lengths) >= limits.payloads
                or self._lines >= limits.lines
            ):
                yield self.take()

    def _fitting(self, received: Payloads, first: int, start: int) -> tuple[int, int, int]:
        """Return how many payloads from `first` still fit, at least one into an empty batch.

        Also returns their bytes and lines.
        """
        room = self.limits.payloads - len(self._lengths)
        lengths = received.lengths[first : first + room]
        size = sum(lengths)
        lines = received.payloads.count(b"\n", start, start + size) + len(lengths)
        if self._bytes + size <= self.limits.bytes and self._lines + lines <= self.limits.lines:
            return len(lengths), size, lines
        ends = list(itertools.accumulate(lengths, initial=start))
        counts = [received.payloads.count(b"\n", a, b) + 1 for a, b in itertools.pairwise(ends)]
        within_bytes = np.cumsum(lengths) <= self.limits.bytes - self._bytes
        within_lines = np.cumsum(counts) <= self.limits.lines - self._lines
        fit = int(np.count_nonzero(within_bytes & within_lines))
        if not self._lengths:
            fit = max(fit, 1)
        return fit, sum(lengths[:fit]), sum(counts[:fit])

    def is_due(self, now_us: int) -> bool:
        """Return whether the oldest payload has waited long enough, or the clock was set back."""
        waited_us = now_us - self._since_us
        return bool(self._lengths) and not 0 <= waited_us < self.limits.age_us

    @property
    def waiting(self) -> int:
        """Payloads in the batch so far."""
        return len(self._lengths)

    def take(self) -> Batch:
        """Close the batch and return it, under the next id of the source."""
        batch = Batch(
            f"{self.source}-{self._batches}",
            self.format,
            self.source,
            self._next_sequence,
            b"".join(self._payloads),
            self._lengths,
            self._times_us,
        )
        self._next_sequence += len(batch)
        self._batches += 1
        self._payloads, self._lengths, self._times_us = [], [], []
        self._bytes = self._lines = 0
        return batch
