"""Instrument names: from an exchange's market name to `BASE-QUOTE.VENUE`, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Venue(StrEnum):
    """The exchanges with naming rules."""

    BINANCE = "BINANCE"
    COINBASE = "COINBASE"
    KRAKEN = "KRAKEN"
    BINANCE_FUTURES = "BINANCE_FUTURES"
    BYBIT = "BYBIT"
    OKX = "OKX"
    ALPACA = "ALPACA"


CCXT: Final = "ccxt"
"""Prefix of venues reached by ccxt: `ccxt:bybit` names its markets like ccxt."""


class Market(NamedTuple):
    """A market by its exchange's name. The venue is empty if no mapping is needed."""

    venue: str
    original: str


NO_MARKET: Final = Market("", "")
"""The market of an instrument that its sender named."""

_QUOTES: Final = (
    "USDT USDC FDUSD TUSD BUSD USDP USDE USD1 DAI UST USDS BTC ETH BNB XRP TRX DOGE DOT SOL VAI"
    " PAX AEUR EURI EUR TRY BRL GBP AUD RUB UAH NGN BIDR IDRT BVND ZAR PLN RON ARS JPY MXN CZK COP"
    " IDR BKRW USD"
)
BINANCE_QUOTES: Final = tuple(sorted(_QUOTES.split(), key=lambda quote: (-len(quote), quote)))
"""Quote assets of Binance spot symbols, longest first: NKNUSDT is NKN-USDT, not ...-USD."""

_KRAKEN_ASSETS: Final = MappingProxyType({"XBT": "BTC", "XDG": "DOGE"})
"""Kraken's own codes, in its WebSocket v1 and in REST; v2 has BTC and DOGE."""


def _binance(original: str) -> str:
    for quote in BINANCE_QUOTES:
        if original.endswith(quote) and len(original) > len(quote):
            return f"{original[: -len(quote)]}-{quote}"
    return original


def _joined_pair(original: str) -> str:
    """Split the pair before the first _ or -: BTCUSDT_250328 is BTC-USDT_250328."""
    pair, *rest = re.split(r"(?=[_-])", original, maxsplit=1)
    return "".join([_binance(pair), *rest])


def _kraken(original: str) -> str:
    return "-".join(_KRAKEN_ASSETS.get(part, part) for part in original.split("/"))


_SETTLES: Final = "PERP"


def _ccxt(original: str) -> str:
    """Name `BASE/QUOTE[:SETTLE[-EXPIRY[-STRIKE-TYPE]]]`: a perpetual gets PERP.

    A settlement currency other than the quote is appended.
    """
    pair, _, contract = original.partition(":")
    base, _, quote = pair.partition("/")
    if not contract:
        return f"{base}-{quote}" if quote else base
    settle, _, terms = contract.partition("-")
    settled = [] if settle == quote else [settle]
    return "-".join([base, quote, terms or _SETTLES, *settled])


def _ccxt_original(pair: str) -> str:
    base, dash, rest = pair.partition("-")
    quote, _, rest = rest.partition("-")
    if not rest:
        return f"{base}/{quote}" if dash else base
    *terms, last = rest.split("-")
    is_settle = bool(terms) and not last[0].isdigit() and last not in ("C", "P")
    settle, terms = (last, terms) if is_settle else (quote, [*terms, last])
    return "-".join([f"{base}/{quote}:{settle}", *(t for t in terms if t != _SETTLES)])


class _Dialect(NamedTuple):
    pair: Callable[[str], str]
    original: Callable[[str], str]


_DIALECTS: Final[Mapping[str, _Dialect]] = {
    Venue.BINANCE: _Dialect(_binance, lambda pair: pair.replace("-", "")),
    Venue.BINANCE_FUTURES: _Dialect(_joined_pair, lambda pair: pair.replace("-", "")),
    Venue.BYBIT: _Dialect(_joined_pair, lambda pair: pair.replace("-", "", 1)),
    Venue.OKX: _Dialect(str, str),
    Venue.COINBASE: _Dialect(str, str),
    Venue.KRAKEN: _Dialect(_kraken, lambda pair: pair.replace("-", "/")),
    Venue.ALPACA: _Dialect(str, str),
}


_BY_CCXT: Final = _Dialect(_ccxt, _ccxt_original)


def _dialect(venue: str) -> tuple[_Dialect | None, str]:
    """Return a venue's naming of markets, and its suffix in instruments."""
    kind, _, name = venue.partition(":")
    if kind == CCXT and name:
        return _BY_CCXT, name.upper()
    return _DIALECTS.get(venue), venue


@dataclass(frozen=True)
class Naming:
    """Naming of markets. `with_venue`: whether the venue is appended.

    `exceptions`: instruments of markets that the rules would name wrongly.
    """

    with_venue: bool = True
    exceptions: Mapping[Market, str] = field(default_factory=dict)

    def instrument(self, market: Market) -> str:
        """Return the instrument of a market; without rules for its venue, the original name."""
        if market in self.exceptions:
            return self.exceptions[market]
        dialect, suffix = _dialect(market.venue)
        if dialect is None:
            return market.original
        pair = dialect.pair(market.original)
        return f"{pair}.{suffix}" if self.with_venue else pair

    def market(self, venue: str, instrument: str) -> Market:
        """Return the market of a venue's instrument.

        If two market names map to one instrument (Kraken's XBT/USD and BTC/USD), it is the one that
        the exchange's WebSocket uses today.
        """
        for market, name in self.exceptions.items():
            if market.venue == venue and name == instrument:
                return market
        dialect, suffix = _dialect(venue)
        if dialect is None:
            return Market(venue, instrument)
        pair = instrument.removesuffix(f".{suffix}") if self.with_venue else instrument
        return Market(venue, dialect.original(pair))


def parse_exceptions(text: str) -> dict[Market, str]:
    """Parse `VENUE:ORIGINAL=INSTRUMENT[,...]`. Raises ValueError with the reason."""
    exceptions: dict[Market, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        market, equals, instrument = item.partition("=")
        venue, colon, original = market.partition(":")
        if venue == CCXT:
            name, colon, original = original.partition(":")
            venue = f"{CCXT}:{name}"
        if not (equals and colon and original and instrument):
            raise ValueError(f"{item!r} is not VENUE:ORIGINAL=INSTRUMENT")
        if _dialect(venue)[0] is None:
            names = ", ".join([*_DIALECTS, "ccxt:NAME"])
            raise ValueError(f"{item!r}: the venue must be one of {names}")
        if instrument in exceptions.values():
            raise ValueError(f"{item!r}: {instrument} is named twice")
        exceptions[Market(venue, original)] = instrument
    return exceptions


def parse_with_venue(text: str) -> bool:
    """Parse `append` or `drop`. Raises ValueError."""
    if text not in ("append", "drop"):
        raise ValueError(f"{text!r} must be append or drop")
    return text == "append"
