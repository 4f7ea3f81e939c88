"""The status of a feed (feeds.proto)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import PermanentError
from shared.schema import feeds_pb2
from shared.wire.message_fields import numbers, parsed, read, written

FEEDS: Final = ("binance", "coinbase", "kraken", "alpaca", "scanner", "ccxt")
"""The values of FEED; `ccxt` stands for any of its venues."""


class FeedState(StrEnum):
    """State of a feed's symbol. DOWN is the absence of reports."""

    LIVE = "live"
    QUIET = "quiet"
    STALLED = "stalled"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    HALTED = "halted"
    MAINTENANCE = "maintenance"
    DOWN = "down"


STALE_US: Final = 15_000_000
"""Seconds without a report after which a bridge is down; it reports every few."""
_WORST_FIRST: Final = (
    *(FeedState.RECONNECTING, FeedState.STALLED, FeedState.MAINTENANCE, FeedState.LIVE),
    *(FeedState.QUIET, FeedState.HALTED, FeedState.ENDED),
)


def is_stale(reported_us: int, now_us: int) -> bool:
    """Whether a report is too old."""
    return now_us - reported_us > STALE_US


def symbol_state(state: str, reported_us: int, now_us: int) -> FeedState:
    """Return a symbol's state: down without reports, unless it has ended."""
    if state != FeedState.ENDED and is_stale(reported_us, now_us):
        return FeedState.DOWN
    return FeedState(state)


def feed_state(symbols: Sequence[tuple[str, int]], now_us: int) -> FeedState:
    """Return a feed's state from (state, reported_us) of its symbols, at least one.

    It is down if none is reported. A quiet symbol beside a live one does not make the feed quiet,
    and one that was removed from a running feed does not make it down.
    """
    if is_stale(max(reported_us for _, reported_us in symbols), now_us):
        return FeedState.DOWN
    states = {symbol_state(*each, now_us) for each in symbols}
    return next((each for each in _WORST_FIRST if each in states), FeedState.QUIET)


@dataclass(frozen=True, slots=True)
class SymbolStatus:
    """One symbol. Times in microseconds, 0 for never; only `last_message_us` is wall clock.

    `last_trade_id`: the broker has every trade of this run up to it, or it is in a gap;
    `id_time_us`: its event time. `history_done` of `history_parts` were fetched.
    """

    symbol: str
    instrument: str
    state: FeedState
    last_message_us: int = 0
    last_trade_us: int = 0
    last_trade_id: int | None = None
    id_time_us: int = 0
    gaps_open: int = 0
    gaps_filled: int = 0
    trades_per_minute: int = 0
    history_done: int = 0
    history_parts: int = 0


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """One feed. `skew_us`: the exchange's clock minus the bridge's; `error`: a message."""

    feed: str
    source: str
    reported_us: int
    reconnects: int
    skew_us: int | None
    error: str
    symbols: tuple[SymbolStatus, ...]

    def encode(self) -> bytes:
        """Return the FeedStatus message, the body of a feed event."""
        symbols = [
            feeds_pb2.SymbolStatus(**written(each, state=_TO_WIRE[each.state]))
            for each in self.symbols
        ]
        return feeds_pb2.FeedStatus(**written(self, symbols=symbols)).SerializeToString()

    @classmethod
    def decode(cls, body: bytes) -> FeedStatus:
        """Read a FeedStatus message. Raises PermanentError."""
        message = parsed("bad_feed_status", feeds_pb2.FeedStatus, body)
        if any(each.state not in _FROM_WIRE for each in message.symbols):
            raise PermanentError("bad_feed_status", "a symbol has no known state")
        symbols = tuple(
            SymbolStatus(**read(SymbolStatus, each, state=_FROM_WIRE[each.state]))
            for each in message.symbols
        )
        return cls(**read(cls, message, symbols=symbols))


_TO_WIRE = numbers(FeedState, feeds_pb2.FeedState, "FEED_STATE_")
_FROM_WIRE = {value: state for state, value in _TO_WIRE.items()}
