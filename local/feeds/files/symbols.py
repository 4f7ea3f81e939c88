"""Instrument from a file name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shared.market.instruments import BINANCE_QUOTES

_QUOTES: Final = tuple(sorted({*BINANCE_QUOTES, "CHF", "CAD"}, key=lambda each: (-len(each), each)))
_SHORTEST_BASE: Final = 3
_KRAKEN: Final = {"XBT": "BTC", "XDG": "DOGE"}
_KRAKEN_QUOTES: Final = (
    *("USDT", "USDC", "USD", "EUR", "GBP", "CAD", "CHF", "JPY", "AUD", "AED", "DAI", "XBT", "ETH"),
)
_CLASSES: Final = re.compile(r"(?:X([A-Z]{3})|(USDT))[XZ]([A-Z]{3})")
"""Kraken's older names prefix crypto with X and money with Z: XXBTZUSD, XETHXXBT."""


def split_pair(text: str, quotes: Sequence[str] = _QUOTES) -> str | None:
    """Return BTCUSDT as BTC-USDT; None without a known quote currency at the end."""
    matching = [quote for quote in quotes if text.endswith(quote) and len(text) > len(quote)]
    # XBTUSD is XBT-USD and not XB-TUSD: few currencies have less than three letters.
    matching.sort(key=lambda quote: len(text) - len(quote) < _SHORTEST_BASE)
    if not matching:
        return None
    base, quote = text[: -len(matching[0])], matching[0]
    return f"{_KRAKEN.get(base, base)}-{_KRAKEN.get(quote, quote)}"


def of_binance(name: str) -> str | None:
    """BTCUSDT-aggTrades-2025-01-01.csv is BTC-USDT."""
    match = re.match(r"([A-Z0-9]+(?:_[A-Z0-9]+)?)-(?:aggTrades|trades)-", name)
    return None if match is None else split_pair(match[1]) or match[1]


def of_pair(name: str) -> str | None:
    """XBTUSD.csv of Kraken is BTC-USD, SHIBUSD.csv SHIB-USD."""
    match = re.match(r"([A-Z0-9]{5,12})(?:[._-].*)?$", name)
    if match is None:
        return None
    plain = _CLASSES.sub(r"\1\2\3", match[1]) if _CLASSES.fullmatch(match[1]) else match[1]
    return split_pair(plain, _KRAKEN_QUOTES) or split_pair(plain)


def of_bitcoincharts(name: str) -> str | None:
    """bitstampUSD.csv is BTC-USD: the venue, then the quote currency of bitcoin."""
    return f"BTC-{m[1]}" if (m := re.match(r"\.?[a-z0-9]+([A-Z]{3})\.csv$", name)) else None


def of_hftbacktest(name: str) -> str | None:
    """btcusdt_20240809.npz is BTC-USDT."""
    match = re.match(r"([A-Za-z0-9]{5,16})[_-]\d{8}.*\.npz$", name)
    return None if match is None else split_pair(match[1].upper()) or match[1].upper()


def of_freqtrade(name: str) -> str | None:
    """XRP_ETH-trades.feather is XRP-ETH, BTC_USDT_USDT-trades (a future) is BTC-USDT:USDT."""
    match = re.match(r"([A-Z0-9]+)_([A-Z0-9]+)(?:_([A-Z0-9]+))?-trades\.", name)
    return (
        None if match is None else f"{match[1]}-{match[2]}" + (f":{match[3]}" if match[3] else "")
    )


def of_ninjatrader(name: str) -> str | None:
    """ES 03-25.Last.txt is ES 03-25."""
    return m[1] if (m := re.match(r"(.+)\.Last\.txt$", name)) else None
