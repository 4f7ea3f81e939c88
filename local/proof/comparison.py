"""The candles that the history API answers, against those of the trades that were sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import httpx

from local.feeds.candles import candle_rows
from local.feeds.tick import Tick
from shared.market.timeframes import parse_ladder

_TIMEFRAME: Final = "1m"
_PAGE: Final = "1000"

Row = tuple[Decimal, ...]
Candles = dict[tuple[str, int], Row]
"""Open, high, low, close and volume by symbol and start in milliseconds."""


def expected(ticks: Iterable[Tick]) -> Candles:
    """Return the one-minute candles of trades, which come in order of time."""
    return {
        (symbol, row[0] // 1000): tuple(Decimal(each) for each in row[1:])
        for symbol, rows in candle_rows(ticks, parse_ladder(_TIMEFRAME)[0]).items()
        for row in rows
    }


def answered(client: httpx.Client, symbols: Iterable[str]) -> Candles:
    """Return those of the API, none for a symbol that it does not know. Raises httpx.HTTPError."""
    return {
        (symbol, row["t"]): tuple(Decimal(row[name]) for name in "ohlcv")
        for symbol in symbols
        for row in _rows(client, symbol)
    }


def _rows(client: httpx.Client, symbol: str) -> Iterator[dict[str, Any]]:
    parameters = {"timeframe": _TIMEFRAME, "from": "0", "limit": _PAGE}
    while True:
        answer = client.get(f"/api/candles/{symbol}", params=parameters)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return
        page = answer.raise_for_status().json()
        yield from page["candles"]
        if page["next"] is None:
            return
        parameters["cursor"] = page["next"]


def differences(wanted: Candles, found: Candles) -> list[str]:
    """Return a sentence for each candle that is missing, another one, or of no trade."""
    said = []
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            shown, should = (
                " ".join(map(str, each)) if each else "none"
                for each in (found.get(key), wanted.get(key))
            )
            said.append(f"{key[0]} at {key[1]}: {shown}, wanted {should}")
    return said
