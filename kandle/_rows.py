"""Rows of the API as values: exact decimals, aware times, one vocabulary.

`NAMES` maps the short names of the wire to that vocabulary; frames have the same names as columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

NAMES: Final[Mapping[str, str]] = {
    "t": "time",
    "time": "local_time",  # where `tz` was given
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


@dataclass(frozen=True, slots=True)
class Candle:
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
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    notional: Decimal
    vwap: Decimal | None
    trades: int
    buy_volume: Decimal
    sell_volume: Decimal
    closed: bool
    partial: bool
    complete: bool
    revision: int
    origin: str
    indicators: Mapping[str, float | None]

    @classmethod
    def of(cls, row: Row) -> Candle:
        """Read a row of the API, with `symbol` and `timeframe` of its page."""
        return cls(
            row["symbol"],
            row["timeframe"],
            time_of(row["t"]),
            decimal_of(row["o"]),
            decimal_of(row["h"]),
            decimal_of(row["l"]),
            decimal_of(row["c"]),
            Decimal(row["v"]),
            Decimal(row["qv"]),
            decimal_of(row["vw"]),
            row["n"],
            Decimal(row["bv"]),
            Decimal(row["sv"]),
            row["closed"],
            row["partial"],
            row["complete"],
            row["revision"],
            row["origin"],
            row.get("indicators", {}),
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """A trade: `time` to the microsecond in history, to the millisecond in the live feed.

    `side` is the aggressor's, `buy` or `sell`; `id` the trade id of its sender.
    """

    symbol: str
    time: datetime
    price: Decimal
    size: Decimal
    side: str | None
    id: str | None

    @classmethod
    def of(cls, row: Row) -> Tick:
        """Read a row of the API, with `symbol` of its page."""
        time = time_of(0, row["us"])
        price, size = Decimal(row["p"]), Decimal(row["s"])
        return cls(row["symbol"], time, price, size, row["side"], row["id"])

    @classmethod
    def of_live(cls, row: Row) -> Tick:
        """Read what the live feed says of a trade."""
        price, size = Decimal(row["price"]), Decimal(row["size"])
        return cls(row["symbol"], time_of(row["t"]), price, size, row["side"], row["trade_id"])


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest trade and quote of an instrument; None: there was none."""

    symbol: str
    time: datetime | None
    price: Decimal | None
    size: Decimal | None
    received: datetime | None
    quote_time: datetime | None
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    spread: Decimal | None
    mid: Decimal | None

    @classmethod
    def of(cls, row: Row) -> Latest:
        """Read a row of the API."""
        return cls(
            row["symbol"],
            _time(row["t"]),
            decimal_of(row["price"]),
            decimal_of(row["size"]),
            _time(row["received"]),
            _time(row["quote_t"]),
            decimal_of(row["bid"]),
            decimal_of(row["ask"]),
            decimal_of(row["bid_size"]),
            decimal_of(row["ask_size"]),
            decimal_of(row["spread"]),
            decimal_of(row["mid"]),
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """An instrument at a glance: its last trade, and its last 24 hours; `change` is in percent."""

    symbol: str
    time: datetime
    price: Decimal
    size: Decimal
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: Decimal
    change: float | None
    points: tuple[Decimal, ...]

    @classmethod
    def of(cls, row: Row) -> Overview:
        """Read a row of the API."""
        return cls(
            row["symbol"],
            time_of(row["t"]),
            Decimal(row["price"]),
            Decimal(row["size"]),
            decimal_of(row["open"]),
            decimal_of(row["high"]),
            decimal_of(row["low"]),
            Decimal(row["volume"]),
            row["change"],
            tuple(map(Decimal, row["points"])),
        )


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern found in closed candles from `begin` to `time`; `direction` is -1, 0 or 1.

    Of several with one `id` the highest `revision` is right; a correction of the candles may have
    withdrawn it (`status` is then `retracted`).
    """

    id: str
    symbol: str
    timeframe: str
    type: str
    kind: str
    direction: int
    confidence: float
    price: Decimal
    begin: datetime
    time: datetime
    status: str
    revision: int
    features: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Pattern:
        """Read a row of the API."""
        return cls(
            row["id"],
            row["symbol"],
            row["timeframe"],
            row["pattern_type"],
            row["kind"],
            row["direction"],
            row["confidence"],
            Decimal(row["trigger_price"]),
            time_of(row["begin"]),
            time_of(row["timestamp"]),
            row["status"],
            row["revision"],
            row["features"],
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule of `kandle alert` that came true on the candle that ended at `time`.

    `timeframe` is empty where it is about no candle, and `symbol` the feed where it is about one.
    """

    rule_id: str
    rule: str
    symbol: str
    timeframe: str
    time: datetime
    value: Decimal | None

    @classmethod
    def of(cls, row: Row) -> Alert:
        """Read a row of the API."""
        return cls(
            row["rule_id"],
            row["rule"],
            row["symbol"],
            row["timeframe"],
            time_of(row["timestamp"]),
            decimal_of(row.get("value")),
        )


@dataclass(frozen=True, slots=True)
class Series:
    """An instrument that was seen: the times of its first and last trade, and their number."""

    symbol: str
    first: datetime
    last: datetime
    trades: int

    @classmethod
    def of(cls, row: Row) -> Series:
        """Read a row of the API."""
        return cls(row["symbol"], time_of(row["first"]), time_of(row["last"]), row["n"])


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server made of ticks that were sent: the first errors name the line and the fix."""

    accepted: int
    rejected: int
    first_errors: tuple[Mapping[str, Any], ...]


def as_dict(row: Any, *, floats: bool) -> dict[str, Any]:
    """Return a row by the names of its attributes; with `floats` Decimals become 64-bit floats."""
    values = {each.name: getattr(row, each.name) for each in fields(row)}
    if floats:
        values |= {name: float(v) for name, v in values.items() if isinstance(v, Decimal)}
    return values


def time_of(ms: int, us: int | None = None) -> datetime:
    """Return a time in milliseconds, or `us` in microseconds since 1970, as a datetime in UTC."""
    us = ms * 1000 if us is None else us
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else time_of(ms)


def decimal_of(text: str | None) -> Decimal | None:
    """Read a decimal text; None stays."""
    return None if text is None else Decimal(text)
