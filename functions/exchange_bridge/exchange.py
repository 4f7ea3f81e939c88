"""Interface to an exchange: address, subscription, and classification of its messages.

Messages go on as they came; the bridge reads of each only what tells whether one is missing.
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
    """Kind of a message. Doubles as a metric label."""

    TRADE = "trade"
    QUOTE = "quote"
    BUST = "bust"
    """Trades are cancelled or corrected."""
    HEARTBEAT = "heartbeat"
    """The connection lives; it may say which trade is the last one. It does not go on."""
    CONFIRMATION = "confirmation"
    ERROR = "error"
    OTHER = "other"
    UNREADABLE = "unreadable"
    """It goes on: normalize keeps it as a reject, with its bytes."""


Id = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
"""A trade id that can be told and stored."""

LATEST_MS: Final = 2**52
TimeMs = Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]


class Trade(NamedTuple):
    """A trade as its ids tell it, or its time (`Exchange.contiguous`). `time_us`: event time."""

    symbol: str
    id: int
    time_us: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """A classified message.

    `trades`: those in it. `last`: the last trade that there was, of which the message is none.
    `sent_us`: the exchange's clock when it was sent. `confirmed`: what is subscribed by it, by the
    names of `Exchange.expected`. `detail`: an error, for people. `also`: further symbols that it
    has data of. `reply`: what the exchange waits for now.
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
        """Leave out `reply`, which may hold a key."""
        return f"Message({self.kind}, {self.symbol!r}, {len(self.trades)} trades, {self.detail!r})"


class Fetched(NamedTuple):
    """Trades fetched over REST, each as a payload like the exchange's own trade message.

    `reaches`: every trade of the range with an id up to this one is in the pages so far, or does
    not exist.
    """

    payloads: list[bytes]
    trades: list[Trade]
    reaches: int


class Kline(NamedTuple):
    """A candle as the exchange publishes it, of an interval that had trades.

    `trades`: how many; 1 where the exchange does not say it. `bought`: volume whose aggressor
    bought; 0 where it does not say that.
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
    """One exchange, set up for its symbols."""

    @property
    def name(self) -> str:
        """The feed is called so."""
        ...

    @property
    def venue(self) -> str:
        """As `shared.market.instruments` knows it; empty where names need no translation."""
        ...

    @property
    def format(self) -> int:
        """Format of its raw batches."""
        ...

    symbols: tuple[str, ...]
    """As the exchange writes them, without those that ended; empty where the server decides."""

    @property
    def contiguous(self) -> bool:
        """Whether ids count the trades of a symbol; else a trade's `id` is its time in ms."""
        ...

    @property
    def joins(self) -> bool:
        """Whether its feed joins trades that REST lists one by one."""
        ...

    @property
    def heartbeats(self) -> bool:
        """Whether a connection without any message for a while must be dead."""
        ...

    @property
    def life_s(self) -> float:
        """Age at which to connect anew, before the exchange hangs up; 0: it does not."""
        ...

    def url(self) -> str:
        """Return where to connect."""
        ...

    def requests(self) -> Sequence[str]:
        """Return what to send once connected; the rest is in the `reply` of messages."""
        ...

    def expected(self) -> frozenset[str]:
        """Return what has to be confirmed before the subscription stands."""
        ...

    def read(self, payload: bytes) -> Message:
        """Tell what a message is. Never raises."""
        ...

    def missing(self, rest: Rest, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield the trades with ids from `first.id` to `last.id`, in whatever order of pages.

        The times are those of the neighbours. Raises RestError.
        """
        ...

    @property
    def intervals(self) -> Mapping[int, str]:
        """The lengths (us) of the candles that it publishes, as it writes them."""
        ...

    @property
    def counts_trades(self) -> bool:
        """Whether its candles say how many of the trades they have that its feed sends."""
        ...

    def klines(
        self, rest: Rest, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages of the candles with starts in [from_us, to_us), ascending.

        An exchange may list less than that. Raises RestError.
        """
        ...

    async def before(self, rest: Rest, symbol: str, time_us: int) -> Trade | None:
        """Return where trades stood at a time: the id of the last one before, and that time.

        None where there was no trade since, or no way to ask. Raises RestError.
        """
        ...

    async def listed(self, rest: Rest, symbol: str) -> FeedState:
        """Return how the exchange lists a symbol: LIVE, HALTED, ENDED or MAINTENANCE.

        Raises RestError.
        """
        ...

    async def newest(self, rest: Rest, symbol: str) -> Trade | None:
        """Return the newest trade, or None where there is no way to ask. Raises RestError."""
        ...
