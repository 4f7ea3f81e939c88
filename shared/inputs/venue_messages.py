"""Bare messages of Binance, Coinbase and KuCoin among JSON objects: what each is by its own words.

Their tickers, orders and mark prices have a price under the name that a trade has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from shared.inputs.raw_values import text_of

_BINANCE_TRADES: Final = ("trade", "aggTrade")
_COINBASE_MATCHES: Final = ("match", "last_match")
_COINBASE_TICKERS: Final = ("ticker", "ticker_batch")
_COINBASE_ORDERS: Final = ("received", "open", "done", "change", "activate")
_KUCOIN_ORDERS: Final = ("received", "open", "done", "change", "update")


class Meaning(NamedTuple):
    """Class of a message: skipped under its kind, a trade, or a quote without one."""

    left_out: str = ""
    is_trade: bool = True
    side_is_maker: bool = False
    """Whether `side` is the maker's: the aggressor was on the other."""


_AS_SAID: Final = Meaning()
_MATCH: Final = Meaning(side_is_maker=True)
_QUOTE: Final = Meaning(is_trade=False)


def meaning_of(message: Mapping[str, msgspec.Raw], inner: Mapping[str, msgspec.Raw]) -> Meaning:
    """Return what a message is; `inner` is its `data`, or itself.

    Sources: Binance, *WebSocket Streams*; Coinbase Exchange, *WebSocket Channels*; KuCoin,
    *WebSocket, Public Channels*.
    """
    if "e" in inner and "E" in inner:
        return _of_binance(inner)
    if "product_id" in inner and "type" in inner:
        return _of_coinbase(text_of(inner["type"]))
    if inner is not message and "subject" in message and "topic" in message:
        if text_of(message["subject"]) in _KUCOIN_ORDERS:
            return Meaning(text_of(message["subject"]))
        return _QUOTE if "ticker" in text_of(message["topic"]).lower() else _AS_SAID
    return _AS_SAID


def _of_binance(values: Mapping[str, msgspec.Raw]) -> Meaning:
    kind = text_of(values["e"])
    if kind not in _BINANCE_TRADES:
        return Meaning(kind)
    # Of futures: trades of the insurance fund and of auto-deleveraging have no market price.
    market = text_of(values["X"]) if "X" in values else "MARKET"
    return _AS_SAID if market == "MARKET" else Meaning(market)


def _of_coinbase(kind: str) -> Meaning:
    if kind in _COINBASE_MATCHES:
        return _MATCH
    if kind in _COINBASE_TICKERS:
        return _QUOTE
    return Meaning(kind) if kind in _COINBASE_ORDERS else _AS_SAID
