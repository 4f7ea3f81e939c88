"""Rows of the API as values: exact decimals, aware times, one vocabulary.

`NAMES` maps the short names of the wire to that vocabulary; frames have the same names as columns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Self

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    N = TypeVar("N", Decimal, float, default=Decimal)
    """The type of prices, sizes and volumes: Decimal, or a 64-bit float on request."""
else:
    from typing import TypeVar

    N = TypeVar("N")

NAMES: Final[Mapping[str, str]] = {
    "t": "time",
    "time": "local_time",  # if `tz` was given
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "qv": "notional",
    "vw": "vwap",
    "n": "trades",
    "bv": "buy_volume",
    "sv": "sell_volume",
    "p": "price",
    "s": "size",
    "ebv": "estimated_buy_volume",
    "esv": "estimated_sell_volume",
    "d": "delta",
    "cd": "cumulative_delta",
}

Row = Mapping[str, Any]
Number = Callable[[str], N]
"""Parses a number: Decimal or float."""

_READ: Final[Mapping[str, Callable[[Number[Any], Any], Any]]] = {
    "N": lambda number, value: number(value),
    "N | None": lambda number, value: None if value is None else number(value),
    "tuple[N, ...]": lambda number, values: tuple(map(number, values)),
    "datetime": lambda _, ms: time_of(ms),
    "datetime | None": lambda _, ms: None if ms is None else time_of(ms),
}
"""Parser of a wire value, by the type of its attribute; others stay as they are."""


class Wire(Generic[N]):
    """A row of the API. `KEYS`: wire names of attributes, if different."""

    __slots__ = ()
    KEYS: ClassVar[Mapping[str, str]] = {name: key for key, name in NAMES.items()}

    @classmethod
    def of(cls, row: Row, number: Number[N]) -> Self:
        """Parse a row, with the fields common to its page: `symbol`, `timeframe` or `type`."""
        return cls(
            **{
                name: read(number, row[key]) if read else row[key]
                for name, key, read in _attributes(cls)  # type: ignore[arg-type] # a class is hashable
                if key in row
            }
        )


@cache
def _attributes(of: Hashable) -> list[tuple[str, str, Callable[[Any, Any], Any] | None]]:
    """Return a class's attribute names, their wire names and parsers."""
    kind: Any = of
    return [
        (each.name, kind.KEYS.get(each.name, each.name), _READ.get(str(each.type)))
        for each in fields(kind)
    ]


@dataclass(frozen=True, slots=True)
class Candle(Wire[N]):
    """A candle over [time, time + timeframe). Prices are None where an empty one was filled in.

    Attributes:
        notional: the sum of price x size; `vwap` is notional / volume, None without volume.
        buy_volume, sell_volume: by the side of the aggressor, where it is known.
        closed: only a late trade may still change it.
        complete: it touches no known gap of its feed.
        partial: it began before the first trade seen.
        revision: of several of one time the highest is right.
        origin: `trades`, or `venue` where the exchange's own was taken.

    """

    symbol: str
    timeframe: str
    time: datetime
    open: N | None
    high: N | None
    low: N | None
    close: N | None
    volume: N
    notional: N
    vwap: N | None
    trades: int
    buy_volume: N
    sell_volume: N
    closed: bool
    partial: bool
    complete: bool
    revision: int
    origin: str
    indicators: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick(Generic[N]):
    """A trade: `time` to the microsecond in history, to the millisecond in the live feed.

    `side` is the aggressor's, `buy` or `sell`; `id` the trade id of its sender.
    """

    symbol: str
    time: datetime
    price: N
    size: N
    side: str | None
    id: str | None

    @classmethod
    def of(cls, row: Row, number: Number[N]) -> Tick[N]:
        """Read a row of the API, with `symbol` of its page."""
        time = time_of(0, row["us"])
        price, size = number(row["p"]), number(row["s"])
        return cls(row["symbol"], time, price, size, row["side"], row["id"])

    @classmethod
    def of_live(cls, row: Row, number: Number[N]) -> Tick[N]:
        """Parse a live tick."""
        price, size = number(row["price"]), number(row["size"])
        return cls(row["symbol"], time_of(row["t"]), price, size, row["side"], row["trade_id"])


@dataclass(frozen=True, slots=True)
class Latest(Wire[N]):
    """The latest trade and quote of an instrument; None: there was none."""

    KEYS: ClassVar[Mapping[str, str]] = {"time": "t", "quote_time": "quote_t"}

    symbol: str
    time: datetime | None
    price: N | None
    size: N | None
    received: datetime | None
    quote_time: datetime | None
    bid: N | None
    ask: N | None
    bid_size: N | None
    ask_size: N | None
    spread: N | None
    mid: N | None


@dataclass(frozen=True, slots=True)
class Overview(Wire[N]):
    """Overview of an instrument: its last trade and last 24 hours; `change` is in percent."""

    KEYS: ClassVar[Mapping[str, str]] = {"time": "t"}

    symbol: str
    time: datetime
    price: N
    size: N
    open: N | None
    high: N | None
    low: N | None
    volume: N
    change: float | None
    points: tuple[N, ...]


@dataclass(frozen=True, slots=True)
class Pattern(Wire[N]):
    """A pattern found in closed candles from `begin` to `time`; `direction` is -1, 0 or 1.

    Of several with one `id` the highest `revision` is right; a correction of the candles may have
    withdrawn it (`status` is then `retracted`).
    """

    KEYS: ClassVar[Mapping[str, str]] = {
        "time": "timestamp",
        "type": "pattern_type",
        "price": "trigger_price",
    }

    id: str
    symbol: str
    timeframe: str
    type: str
    kind: str
    direction: int
    confidence: float
    price: N
    begin: datetime
    time: datetime
    status: str
    revision: int
    features: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert(Wire[N]):
    """A rule of `kandle alert` that came true on the candle that ended at `time`.

    `timeframe` is empty where it is about no candle, and `symbol` the feed where it is about one.
    """

    KEYS: ClassVar[Mapping[str, str]] = {"time": "timestamp"}

    rule_id: str
    rule: str
    symbol: str
    timeframe: str
    time: datetime
    value: N | None = None


@dataclass(frozen=True, slots=True)
class Series(Wire[Any]):
    """An instrument that was seen: the times of its first and last trade, and their number."""

    symbol: str
    first: datetime
    last: datetime
    trades: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The server's response to sent ticks: the first errors name the line and the fix."""

    accepted: int
    rejected: int
    first_errors: tuple[Mapping[str, Any], ...]


def as_dict(row: Any, *, floats: bool) -> dict[str, Any]:
    """Return a row as a dictionary; with `floats`, Decimals become 64-bit floats."""
    values = {each.name: getattr(row, each.name) for each in fields(row)}
    if floats:
        values |= {name: float(v) for name, v in values.items() if isinstance(v, Decimal)}
    return values


def time_of(ms: int, us: int | None = None) -> datetime:
    """Return a time in milliseconds, or `us` in microseconds since 1970, as a datetime in UTC."""
    us = ms * 1000 if us is None else us
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def optional(number: Number[N], text: str | None) -> N | None:
    """Parse a number; None stays None."""
    return None if text is None else number(text)
