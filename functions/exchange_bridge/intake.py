"""Intake: classify each message, note its trade ids, and batch it unchanged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from functions.exchange_bridge.exchange import Exchange, Kind, Message, Trade
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.seen_ids import SymbolIds
from functions.exchange_bridge.seen_times import SymbolTimes
from shared.runtime import metrics
from shared.sources.batcher import Batch, Batcher, Payloads
from shared.wire.raw_batch import MAX_PAYLOAD_BYTES

log = logging.getLogger(__name__)

_GO_ON: Final = (Kind.TRADE, Kind.QUOTE, Kind.BUST, Kind.UNREADABLE)
_LOG_EVERY_S: Final = 5.0

# Reasons for dropping a message: the values of the label `why`.
TOO_LARGE: Final = "too_large"
OUTBOX_FULL: Final = "outbox_full"
NOT_WATCHED: Final = "not_watched"

Noted = dict[str, list[int]]
"""Ids of trades by symbol."""


@dataclass(slots=True)
class Intake:
    """Receives the messages of all connections of a feed.

    `put` accepts a batch, or returns False if the outbox is full: then the batch is dropped and its
    trades count as never seen, so that they become a gap and are fetched later. `selects` filters
    symbols. Clocks: `now_us` is wall time, `now_s` is monotonic. `has_resumed`: whether the
    previous run's position has been read. `forgotten`: how often trades already seen had to be
    dropped.
    """

    exchange: Exchange
    batcher: Batcher
    health: Health
    put: Callable[[Batch], bool]
    selects: Callable[[str], bool] = lambda symbol: True
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    now_s: Callable[[], float] = time.monotonic
    ids: dict[str, SymbolIds] = field(default_factory=dict)
    has_resumed: bool = True
    forgotten: int = 0
    _in_batch: Noted = field(default_factory=dict)
    _dropped: int = 0
    _logged_s: float = 0.0

    def __post_init__(self) -> None:
        """Export drops as 0 from the start; otherwise an alert misses the first one."""
        for reason in (TOO_LARGE, OUTBOX_FULL, NOT_WATCHED):
            metrics.FEED_DROPPED.labels(self.exchange.name, reason)

    def take(self, payload: bytes) -> Message:
        """Take a message; return its classification."""
        received_us, message = self.now_us(), self.exchange.read(payload)
        metrics.FEED_MESSAGES.labels(self.exchange.name, message.kind).inc()
        if message.kind in _GO_ON and message.symbol and not self.selects(message.symbol):
            metrics.FEED_DROPPED.labels(self.exchange.name, NOT_WATCHED).inc()
            return message
        self.health.note(message, received_us)
        if message.last is not None:
            self.of(message.last.symbol).exists(message.last, self.now_s())
        if message.kind in _GO_ON:
            if len(payload) > MAX_PAYLOAD_BYTES:
                # Too large for any batch: its trades become a gap.
                self._drop(TOO_LARGE, 1)
                self._forget(message.trades)
            else:
                self._hand_on(payload, message.trades, received_us)
        return message

    def _hand_on(self, payload: bytes, trades: Sequence[Trade], now_us: int) -> None:
        """Add a payload to the batch, and note its trades as seen."""
        noted: Noted = {}
        self.note(trades)
        for trade in trades:
            noted.setdefault(trade.symbol, []).append(trade.id)
        added = Payloads(payload, [len(payload)], [now_us])
        for symbol, ids in noted.items():
            self._in_batch.setdefault(symbol, []).extend(ids)
        batches = list(self.batcher.add(added, now_us))
        if batches:
            self._send(batches)
            # The batch may hold some of these: kept until it is sent, at worst fetched twice.
            self._in_batch = noted if self.batcher.waiting else {}

    def _forget(self, trades: Sequence[Trade]) -> None:
        """Mark trades as missing that arrived and cannot be forwarded."""
        self.note(trades)
        for trade in trades:
            self.of(trade.symbol).forget(trade.id, trade.id, self.now_s())

    def connected(self) -> None:
        """Note a new connection."""
        for ids in self.ids.values():
            ids.connected()

    def note(self, trades: Sequence[Trade]) -> None:
        """Mark trades as seen."""
        now_s = self.now_s()
        for trade in trades:
            self.of(trade.symbol).see(trade, now_s)

    def packed(self, payloads: Sequence[bytes]) -> list[Batch]:
        """Return batches of fetched payloads, for a sender that waits for room."""
        self.flush(due_only=False)
        return fetched_batches(self.batcher, payloads, self.now_us())

    def flush(self, *, due_only: bool = True) -> None:
        """Send the pending batch if it is due."""
        if self.batcher.is_due(self.now_us()) or (self.batcher.waiting and not due_only):
            self._send([self.batcher.take()])
            self._in_batch = {}

    def of(self, symbol: str) -> SymbolIds:
        """Return a symbol's ids."""
        ids = self.ids.get(symbol)
        if ids is None:
            of_kind = SymbolIds if self.exchange.contiguous else SymbolTimes
            ids = self.ids[symbol] = of_kind(symbol)
        return ids

    def _send(self, batches: Sequence[Batch]) -> None:
        dropped = sum(len(batch) for batch in batches if not self.put(batch))
        if not dropped:
            return
        self._drop(OUTBOX_FULL, dropped)
        self.forgotten += 1
        now_s = self.now_s()
        for symbol, ids in self._in_batch.items():
            for first, last in _runs(ids):
                self.of(symbol).forget(first, last, now_s)

    def _drop(self, reason: str, count: int) -> None:
        metrics.FEED_DROPPED.labels(self.exchange.name, reason).inc(count)
        self._dropped += count
        if self.now_s() - self._logged_s >= _LOG_EVERY_S:
            log.error(
                "%s: %d messages dropped (%s): trades with ids are fetched later",
                *(self.exchange.name, self._dropped, reason),
            )
            self._dropped, self._logged_s = 0, self.now_s()


def fetched_batches(batcher: Batcher, payloads: Sequence[bytes], now_us: int) -> list[Batch]:
    """Return all batches of fetched payloads."""
    times_us = [now_us] * len(payloads)
    added = Payloads(b"".join(payloads), [len(each) for each in payloads], times_us)
    batches = list(batcher.add(added, now_us))
    return [*batches, batcher.take()] if batcher.waiting else batches


def _runs(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return runs of consecutive ids as (first, last)."""
    runs: list[tuple[int, int]] = []
    for id_ in sorted(set(ids)):
        if runs and runs[-1][1] == id_ - 1:
            runs[-1] = (runs[-1][0], id_)
        else:
            runs.append((id_, id_))
    return runs
