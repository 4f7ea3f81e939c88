"""Interface to an exchange: address, subscription, and classification of its messages.

Messages are forwarded unchanged; the bridge reads only what shows whether one is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec

from functions.exchange_bridge.rest import Rest
from shared.wire.feed_status import FeedState


class Kind(StrEnum):
    """Kind of a message, also a metric label."""

    TRADE = "trade"
    QUOTE = "quote"
    BUST = "bust"
    """Cancels or corrections of trades."""
    HEARTBEAT = "heartbeat"
    """A heartbeat, possibly with the last trade id. It is not forwarded."""
    CONFIRMATION = "confirmation"
    ERROR = "error"
    OTHER = "other"
    UNREADABLE = "unreadable"
    """It is forwarded: normalize stores it as a reject with its bytes."""


Id = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A trade id that can be reported and stored."""

LATEST_MS: Final = 2**52
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]


class Trade(NamedTuple):
    """A trade by id, or by time (`Exchange.contiguous`). `time_us`: event time."""

    symbol: str
    id: int
    time_us: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """A classified message.

    `trades`: the trades in it. `last`: the exchange's last trade, not part of the message.
    `sent_us`: the exchange's clock when it was sent. `confirmed`: subscriptions confirmed by it,
    named as in `Exchange.expected`. `detail`: an error message. `also`: further symbols it has data
    of. `reply`: what to send in response.
    """

    kind: Kind
    symbol: str = ""
    trades: tuple[Trade, ...] = ()
    last: Trade | None = None
    sent_us: int | None = None
    confirmed: frozenset[str] = frozenset()
    detail: str = ""
    also: tuple[str, ...] = ()
    reply: str = ""

    def __repr__(self) -> str:
        """Hide `reply`, which may hold a key."""
        return f"Message({self.kind}, {self.symbol!r}, {len(self.trades)} trades, {self.detail!r})"


class Fetched(NamedTuple):
    """Trades fetched over REST, each as a payload like the exchange's own trade message.

    `reaches`: all trades of the range up to this id are in the pages so far, or do not exist.
    """

    payloads: list[bytes]
    trades: list[Trade]
    reaches: int


class Kline(NamedTuple):
    """A candle as the exchange publishes it, for an interval with trades.

    `trades`: trade count; 1 if the exchange does not report it. `bought`: aggressor buy volume; 0
    if it does not report that.
    """

    start_us: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    notional: Decimal
    trades: int = 1
    bought: Decimal | None = None


class Exchange(Protocol):
    """One exchange, configured for its symbols."""

    @property
    def name(self) -> str:
        """Name of the feed."""
        ...

    @property
    def venue(self) -> str:
        """Name in `shared.market.instruments`; empty if names need no translation."""
        ...

    @property
    def format(self) -> int:
        """Format of its raw batches."""
        ...

    symbols: tuple[str, ...]
    """In the exchange's notation, without ended ones; empty if the server decides."""

    @property
    def contiguous(self) -> bool:
        """Whether ids are contiguous; otherwise a trade's `id` is its time in ms."""
        ...

    @property
    def joins(self) -> bool:
        """Whether its feed joins trades that REST lists individually."""
        ...

    @property
    def heartbeats(self) -> bool:
        """Whether a silent connection must be dead."""
        ...

    @property
    def life_s(self) -> float:
        """Age at which to reconnect, before the exchange hangs up; 0: never."""
        ...

    def url(self) -> str:
        """Return the URL to connect to."""
        ...

    def requests(self) -> Sequence[str]:
        """Return the messages to send once connected; others are in `reply` of messages."""
        ...

    def expected(self) -> frozenset[str]:
        """Return the confirmations to wait for."""
        ...

    def read(self, payload: bytes) -> Message:
        """Classify a message. Never raises."""
        ...

    def missing(self, rest: Rest, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield the trades with ids from `first.id` to `last.id`, in any order of pages.

        The times are those of the neighbours. Raises RestError.
        """
        ...

    @property
    def intervals(self) -> Mapping[int, str]:
        """The lengths (us) of the candles it publishes, with the exchange's names."""
        ...

    @property
    def counts_trades(self) -> bool:
        """Whether its candles count the trades that its feed sends."""
        ...

    def klines(
        self, rest: Rest, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages of the candles with starts in [from_us, to_us), ascending.

        An exchange may list fewer. Raises RestError.
        """
        ...

    async def before(self, rest: Rest, symbol: str, time_us: int) -> Trade | None:
        """Return the id of the last trade before a time, with that time.

        None if there was no trade since, or REST cannot tell. Raises RestError.
        """
        ...

    async def listed(self, rest: Rest, symbol: str) -> FeedState:
        """Return the status of a symbol: LIVE, HALTED, ENDED or MAINTENANCE.

        Raises RestError.
        """
        ...

    async def newest(self, rest: Rest, symbol: str) -> Trade | None:
        """Return the newest trade, or None if REST cannot tell. Raises RestError."""
        ...
