"""Interface to an exchange: address, subscription, and classification of its messages.

Messages are forwarded unchanged; the bridge reads only what shows whether one is missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, NamedTuple

import msgspec

from functions.exchange_bridge.rest import Rest, RestError
from shared.market.decimals import EXACT
from shared.market.instruments import Market, Naming
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
_QUARTER: Final = Decimal("0.25")
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


def weighted_kline(
    start_us: int, open_: Decimal, high: Decimal, low: Decimal, close: Decimal, volume: Decimal
) -> Kline:
    """Return a candle without notional and count: its price is the weighted close."""
    price = EXACT.multiply(EXACT.add(EXACT.add(high, low), EXACT.add(close, close)), _QUARTER)
    notional = EXACT.multiply(price, volume)
    return Kline(start_us, open_, high, low, close, volume, notional)


def within(klines: Iterable[Kline], from_us: int, to_us: int) -> list[Kline]:
    """Return candles, ascending. Raises RestError for one with a start out of the range."""
    ascending = sorted(klines)
    if ascending and not from_us <= ascending[0].start_us <= ascending[-1].start_us < to_us:
        raise RestError("candles of another range were answered")
    return ascending


class Exchange:
    """One exchange, configured for its symbols. What it cannot tell it does not override."""

    name: str
    """Name of the feed."""
    venue: str = ""
    """Name in `shared.market.instruments`; empty if names need no translation."""
    format: int
    """Format of its raw batches."""
    symbols: tuple[str, ...] = ()
    """In the exchange's notation, without ended ones; empty if the server decides."""
    naming = Naming()
    """How its symbols become instruments."""
    channels: tuple[str, ...] = ()
    """The channels of each symbol, confirmed as `channel symbol`."""
    contiguous: bool = True
    """Whether ids are contiguous; otherwise a trade's `id` is its time in ms."""
    joins: bool = False
    """Whether its feed joins trades that REST lists individually."""
    heartbeats: bool = False
    """Whether a silent connection must be dead."""
    life_s: float = 0.0
    """Age at which to reconnect, before the exchange hangs up; 0: never."""
    intervals: Mapping[int, str] = MappingProxyType({})
    """The lengths (us) of the candles it publishes, with the exchange's names."""
    counts_trades: bool = False
    """Whether its candles count the trades that its feed sends."""
    decoder: ClassVar[msgspec.json.Decoder[Any]]
    """Decoder of its messages."""

    def __init__(self, url: str, symbols: Sequence[str], rest: Rest) -> None:
        """`url`: address to connect to; `rest`: its REST API."""
        self.url = url
        self.symbols = tuple(symbol.upper() for symbol in symbols)
        self.rest = rest

    def instrument(self, symbol: str) -> str:
        """Return the instrument of a symbol."""
        return self.naming.instrument(Market(self.venue, symbol))

    def requests(self) -> Sequence[str]:
        """Return the messages to send once connected; others are in `reply` of messages."""
        return []

    def expected(self) -> frozenset[str]:
        """Return the confirmations to wait for."""
        return frozenset(f"{channel} {each}" for channel in self.channels for each in self.symbols)

    def read(self, payload: bytes) -> Message:
        """Classify a message. Never raises."""
        try:
            return self._message(self.decoder.decode(payload))
        except (msgspec.DecodeError, ValueError):
            return Message(Kind.UNREADABLE)

    def _message(self, message: Any) -> Message:
        """Classify a decoded message. Raises ValueError."""
        raise NotImplementedError

    async def missing(self, symbol: str, first: Trade, last: Trade) -> AsyncIterator[Fetched]:
        """Yield the trades with ids from `first.id` to `last.id`, in any order of pages.

        The times are those of the neighbours. Raises RestError.
        """
        for each in list[Fetched]():
            yield each

    async def klines(
        self, symbol: str, length_us: int, from_us: int, to_us: int
    ) -> AsyncIterator[list[Kline]]:
        """Yield pages of the candles with starts in [from_us, to_us), ascending.

        An exchange may list fewer. Raises RestError.
        """
        for each in list[list[Kline]]():
            yield each

    async def before(self, symbol: str, time_us: int) -> Trade | None:
        """Return the id of the last trade before a time, with that time.

        None if there was no trade since, or REST cannot tell. Raises RestError.
        """
        return None

    async def listed(self, symbol: str) -> FeedState:
        """Return the status of a symbol: LIVE, HALTED, ENDED or MAINTENANCE.

        Raises RestError.
        """
        return FeedState.LIVE

    async def newest(self, symbol: str) -> Trade | None:
        """Return the newest trade, or None if REST cannot tell. Raises RestError."""
        return None
