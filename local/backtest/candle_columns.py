"""Column detection for candle files, and the notation of their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PRICES: Final = ("open", "high", "low", "close")
COINBASE_ROW: Final = ("time", "low", "high", "open", "close", "volume")
ROWS: Final = (
    ("time", *PRICES, "volume"),  # Binance's klines, Kraken's OHLCVT, freqtrade's JSON
    ("date", "time", *PRICES, "volume"),
    COINBASE_ROW,
)
"""Names of the columns of rows without a header."""

_NAMES: Final = {
    "time": "startus startms start opentime time timestamp unix unixtimestamp windowstart datetime"
    " date datetimeutc timeutc timestamputc gmttime localtime ts t",
    "open": "open o openprice 1open",
    "high": "high h highprice max 2high",
    "low": "low l lowprice min 3low",
    "close": "close c closeprice closelast last price 4close",
    "volume": "volume v vol tickvol tickvolume basevolume volumebase 5volume",
    "symbol": "symbol ticker instrument pair sym",
}
"""Letters and digits only; the first match wins."""
_UNITS_US: Final = {"startus": 1, "startms": 1_000}
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_POINTS_GROUP: Final = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
_MAGNITUDES: Final = {"K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True, slots=True)
class ColumnPositions:
    """Columns of the fields. `time`: one column, or those of a date and a time of day."""

    time: tuple[int, ...]
    prices: tuple[int, ...]
    volumes: tuple[int, ...]
    symbol: int | None
    unit_us: int | None = None


def columns_of(names: Sequence[str]) -> ColumnPositions | None:
    """Find the fields by header names; None without open, high, low and close.

    An unnamed first column is the time, as pandas and yfinance write their index.
    """
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()).replace("dtyyyymmdd", "date") for name in names]
    positions = {
        field: [plain.index(alias) for alias in aliases.split() if alias in plain]
        for field, aliases in _NAMES.items()
    }
    if not all(positions[field] for field in PRICES):
        return None
    if not positions["volume"]:  # CryptoDataDownload's `Volume BTC`, of the base before the quote
        positions["volume"] = [at for at, name in enumerate(plain) if name.startswith("volume")][:1]
    prices = tuple(positions[field][0] for field in PRICES)
    time = tuple(positions["time"][:1])
    if {"date", "time"} <= set(plain) and "unix" not in plain:
        time = (plain.index("date"), plain.index("time"))
    elif not time and 0 not in prices:
        time = (0,)
    symbol = next(iter(positions["symbol"]), None)
    unit = _UNITS_US.get(plain[time[0]]) if time else None
    return ColumnPositions(time, prices, tuple(positions["volume"]), symbol, unit)


def number_of(text: str, *, decimal_comma: bool = False) -> float:
    """Parse `1,234.5`, `$12.30`, `1.2M` or, with a decimal comma, `1.234,5`. Raises ValueError."""
    if decimal_comma and _POINTS_GROUP.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    try:
        return float(text)
    except ValueError:
        plain = text.strip().lstrip("$€£").strip()
    if decimal_comma:
        plain = plain.replace(".", "").replace(",", ".")
    elif _GROUPED.fullmatch(plain):
        plain = plain.replace(",", "")
    factor = _MAGNITUDES.get(plain[-1:].upper(), 1.0)
    try:
        return float(plain if factor == 1.0 else plain[:-1]) * factor
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
