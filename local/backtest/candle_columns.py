"""Column detection for candle files, and the notation of their times and numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.market.timestamps import parse_us, us_of

PRICES: Final = ("open", "high", "low", "close")
PLAIN_ROW: Final = ("time", *PRICES, "volume")
"""Column orders without a header: Binance's klines, Kraken's OHLCVT, freqtrade's JSON."""
COINBASE_ROW: Final = ("time", "low", "high", "open", "close", "volume")

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
_ABSENT: Final = frozenset({"", "null", "nan", "none", "na", "n/a", "-", "nat"})
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_MAGNITUDES: Final = {"K": 1e3, "M": 1e6, "B": 1e9}
_PATTERNS: Final = (
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S.%f",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%b %d, %Y",
    "%d %b %Y",
    "%Y%m%d",
    "%Y%m%d %H%M",
    "%Y%m%d %H:%M",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d %H%M%S",
    "%Y%m%d%H%M%S",
)


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
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
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


def default_positions(
    width: int, *, dated: bool = False, coinbase: bool = False
) -> ColumnPositions:
    """Return the columns of a row without a header. `dated`: it starts with a date and a time."""
    names = COINBASE_ROW if coinbase else PLAIN_ROW
    shift = int(dated)
    prices = tuple(names.index(field) + shift for field in PRICES)
    volumes = (names.index("volume") + shift,) if width > len(PRICES) + 1 + shift else ()
    return ColumnPositions(tuple(range(1 + shift)), prices, volumes, None)


def is_absent(text: str) -> bool:
    """Whether a cell means that there is no value."""
    return text.lower() in _ABSENT


def number_of(text: str, *, decimal_comma: bool = False) -> float:
    """Parse `1,234.5`, `$12.30`, `1.2M` or, with a decimal comma, `1.234,5`. Raises ValueError."""
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
        raise ValueError(f"{text!r} is no number") from None


class Times:
    """Parses the times of a column, all in one notation.

    `note` says which, if a date is ambiguous.
    """

    def __init__(self, texts: Sequence[str], unit_us: int | None) -> None:
        """`texts`: the first of the column, from which the notation is detected."""
        self._unit_us = unit_us
        fitting = [each for each in _PATTERNS if all(_fits(text, each) for text in texts)]
        is_other = any(_reads(text) for text in texts[:1])
        self._pattern = fitting[0] if fitting and not is_other else None
        is_ambiguous = {"%m/%d/%Y", "%d/%m/%Y"} <= {each[:8] for each in fitting}
        self.note = "its dates are read as month/day/year" if is_ambiguous else ""

    def us(self, text: str) -> int:
        """Return a time in microseconds since 1970, UTC by default. Raises ValueError.

        Numbers are s, ms, us or ns by their magnitude.
        """
        if self._unit_us is not None:
            return int(text) * self._unit_us
        if self._pattern is not None:
            try:
                time = datetime.strptime(text, self._pattern).replace(tzinfo=UTC)
            except ValueError:
                raise ValueError(f"{text!r} is no time as those before it") from None
            return us_of(time)
        try:
            return _us(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time") from None


def _us(text: str) -> int:
    """Parse a number of at least 10**8 seconds (1973), or ISO 8601, also before 1980."""
    if (time := _iso(text)) is not None:
        return us_of(time if time.tzinfo else time.replace(tzinfo=UTC))
    if text.isdigit() and len(text) == 9:
        return int(text) * 1_000_000
    return parse_us(text)


def _iso(text: str) -> datetime | None:
    if "-" not in text[1:]:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _reads(text: str) -> bool:
    try:
        _us(text)
    except ValueError:
        return False
    return True


def _fits(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007 - only tried
    except ValueError:
        return False
    return True
