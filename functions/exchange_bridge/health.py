"""Feed health per symbol: last message, last trade, clock skew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from functions.exchange_bridge.exchange import Kind, Message
from shared.wire.feed_status import FeedState

SKEW_WINDOW_US: Final = 60_000_000
MAX_SYMBOLS: Final = 1_000
"""Limits the memory if the server decides which symbols to send."""

RATE_PART_US: Final = 5_000_000
RATE_PARTS: Final = 12
"""A minute."""

_DATA: Final = (Kind.TRADE, Kind.QUOTE, Kind.BUST)


@dataclass(slots=True)
class Skew:
    """The exchange's clock minus this one.

    Transit makes the exchange seem behind, so the largest difference within a window is the best
    estimate. It is too small by the shortest transit.
    """

    _current: int | None = None
    _before: int | None = None
    _since_us: int = 0

    def note(self, sent_us: int, received_us: int) -> None:
        """Add the times of a message."""
        if received_us - self._since_us >= SKEW_WINDOW_US:
            self._before, self._current, self._since_us = self._current, None, received_us
        difference = sent_us - received_us
        if self._current is None or difference > self._current:
            self._current = difference

    @property
    def us(self) -> int | None:
        """The estimate; None before there is one."""
        return max(
            (each for each in (self._current, self._before) if each is not None), default=None
        )


@dataclass(slots=True)
class Seen:
    """Time of a symbol's last message by this clock, and of its newest trade by event time.

    `trade_message_us`: of its last message with a trade. `status`: the symbol's status if it is not
    traded normally; a message ends it. `history_done` of `history_parts` of its history were
    fetched.
    """

    message_us: int = 0
    trade_message_us: int = 0
    trade_us: int = 0
    status: FeedState | None = None
    history_done: int = 0
    history_parts: int = 0
    _trades: dict[int, int] = field(default_factory=dict)

    def count(self, trades: int, now_us: int) -> None:
        """Count received trades."""
        part = now_us // RATE_PART_US
        if part not in self._trades:
            self._trades = {n: c for n, c in self._trades.items() if n > part - RATE_PARTS}
        self._trades[part] = self._trades.get(part, 0) + trades

    def trades_per_minute(self, now_us: int) -> int:
        """Return the trades of the last minute, accurate to a few seconds."""
        first = now_us // RATE_PART_US - RATE_PARTS
        return sum(count for part, count in self._trades.items() if part > first)


@dataclass(slots=True)
class Health:
    """A feed's state, derived from its messages and connections.

    `quiet_us`: silence after which a symbol counts as quiet.
    """

    quiet_us: int
    skew: Skew = field(default_factory=Skew)
    symbols: dict[str, Seen] = field(default_factory=dict)
    is_up: bool = False
    is_stalled: bool = False
    reconnects: int = 0
    error: str = ""

    def note(self, message: Message, received_us: int) -> None:
        """Take a message."""
        if message.sent_us is not None:
            self.skew.note(message.sent_us, received_us)
        if message.kind in _DATA or message.kind is Kind.HEARTBEAT:
            self.is_stalled = False
        if message.kind not in _DATA or not message.symbol:
            return
        for symbol in (message.symbol, *message.also):
            self._note_data(symbol, message, received_us)

    def _note_data(self, symbol: str, message: Message, received_us: int) -> None:
        seen, trades = self.of(symbol), message.trades
        if seen is None:
            return
        if message.also:
            trades = tuple(trade for trade in trades if trade.symbol == symbol)
        seen.message_us = received_us
        seen.status = None
        if message.kind is Kind.TRADE and (trades or not message.also):
            seen.count(len(trades) or 1, received_us)
            seen.trade_message_us = received_us
        for trade in trades:
            seen.trade_us = max(seen.trade_us, trade.time_us)

    def of(self, symbol: str) -> Seen | None:
        """Return the record of a symbol; None if there are too many."""
        seen = self.symbols.get(symbol)
        if seen is None and len(self.symbols) < MAX_SYMBOLS:
            seen = self.symbols[symbol] = Seen()
        return seen

    def state(self, symbol: str, now_us: int) -> FeedState:
        """Return a symbol's status."""
        seen = self.symbols.get(symbol)
        if seen is not None and seen.status is not None:
            return seen.status
        if self.is_stalled:
            return FeedState.STALLED
        if not self.is_up:
            return FeedState.RECONNECTING
        if seen is None or now_us - seen.message_us > self.quiet_us:
            return FeedState.QUIET
        return FeedState.LIVE
