"""Candles of a CSV file as the columns that detectors take."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from shared.analysis.candle_series import Candles

MAX_CANDLES: Final = 5_000_000

_NAMES: Final = {
    "time": ("start_us", "start_ms", "start", "time", "timestamp", "date", "datetime", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v", "vol", "tickvol"),
}
_PRICES: Final = ("open", "high", "low", "close")
_KLINE: Final = ("time", *_PRICES, "volume")
"""The first columns of Binance's public klines."""
_ABSENT: Final = frozenset({"", "null", "nan", "none", "na", "n/a"})
_UNITS_US: Final = {"start_us": 1, "start_ms": 1_000}
_SIZES: Final = (
    (10**11, Decimal(10**6)),
    (10**14, Decimal(10**3)),
    (10**17, Decimal(1)),
    (10**20, Decimal("0.001")),
)
_FORMATS: Final = (
    "%Y.%m.%d",
    "%Y.%m.%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y",
    "%Y%m%d",
)


class InputError(Exception):
    """A file has no candles that can be used; the message says which row, and what is wrong."""


def read_candles(path: str) -> tuple[Candles, list[str]]:
    """Read a CSV file (also .gz) of candles; return them, and notes.

    With a header that names time, o, h, l, c (long names or initials, in any order and letter case,
    also as MetaTrader writes them: <DATE>, <TIME>, <TICKVOL>), divided by comma, semicolon or tab;
    or without one, as Binance's klines: open time, open, high, low, close, volume. A missing volume
    is 0. Rows without prices (null, as Yahoo writes a day without trades) are left out, and rows
    are sorted by time; the notes say so. Times are ISO 8601, year.month.day or month/day/year, UTC
    where they do not say, or numbers: seconds, ms, us or ns since 1970, distinguished by their size
    where the name (start_us, start_ms) does not. Raises InputError.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.endswith(".gz")
            else Path(path).open(encoding="utf-8-sig")
        ) as file:
            return read_rows(path, file)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def read_rows(name: str, file: Iterable[str]) -> tuple[Candles, list[str]]:
    """Read lines of CSV as `read_candles` does those of the file `name`. Raises InputError."""
    lines = iter(file)
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((each for each in "\t;," if each in first), ",")
    header = next(csv.reader([first], delimiter=delimiter), [])
    rows = csv.reader(lines, delimiter=delimiter)
    numbered = enumerate(rows, 1)
    if all(_is_number(each) for each in header) and len(header) >= len(_KLINE):
        places = {key: [place] for place, key in enumerate(_KLINE)}
        numbered = enumerate(chain([header], rows), 1)
    else:
        places = _places(name, header)
    (time_at, *rest) = places["time"]
    unit_us = _UNITS_US.get(_plain(header[time_at]))
    starts, values, empty = [], [], 0
    for number, row in numbered:
        if not row:
            continue
        try:
            prices = [row[places[key][0]].strip() for key in _PRICES]
            if all(each.lower() in _ABSENT for each in prices):
                empty += 1
                continue
            volumes = [row[at].strip() for at in places.get("volume", ())]
            starts.append(_time_us(" ".join([row[time_at], *(row[at] for at in rest)]), unit_us))
            values.append([*map(float, prices), _volume(volumes)])
        except (ValueError, IndexError) as error:
            raise InputError(f"{name}: row {number}: {error}") from None
        if len(starts) > MAX_CANDLES:
            raise InputError(f"{name}: more than {MAX_CANDLES:,} candles")
    if not starts:
        raise InputError(f"{name}: has no candles")
    notes = [f"{empty} rows without prices were left out"] if empty else []
    start_us, table = np.array(starts, dtype=np.int64), np.array(values)
    if (start_us[1:] < start_us[:-1]).any():
        notes.append("the rows were sorted by time")
        order = np.argsort(start_us, kind="stable")
        start_us, table = start_us[order], table[order]
    try:
        return Candles(start_us, *table.T.copy()), notes
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _volume(texts: Sequence[str]) -> float:
    """Return the first volume that is not 0: MetaTrader counts ticks where it has no volume."""
    numbers = [float(each) for each in texts if each.lower() not in _ABSENT]
    return next((each for each in numbers if each), 0.0)


def _plain(name: str) -> str:
    return name.strip().strip("<>").lower()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _places(name: str, header: Sequence[str]) -> dict[str, list[int]]:
    """Return the columns of each field; the time may be a date and a time of day."""
    known = {_plain(each): place for place, each in reversed(list(enumerate(header)))}
    found = {
        key: [known[alias] for alias in aliases if alias in known]
        for key, aliases in _NAMES.items()
    }
    missing = [key for key in ("time", *_PRICES) if not found[key]]
    if missing:
        raise InputError(
            f"{name}: its header names no {', '.join(missing)}: candles need a header such as"
            " time,open,high,low,close,volume, or the columns of Binance's klines without one"
        )
    if {"date", "time"} <= known.keys():
        found["time"] = [known["date"], known["time"]]
    else:
        found["time"] = found["time"][:1]
    return found


def _time_us(text: str, unit_us: int | None) -> int:
    """Read a time; without a unit a number is seconds, ms, us or ns by its size, since 1973."""
    text = text.strip()
    if unit_us is not None:
        return int(text) * unit_us
    try:
        number = Decimal(text)
    except InvalidOperation:
        return _date_us(text)
    for limit, per_us in _SIZES:
        if number.is_finite() and 10**8 <= abs(number) < limit:
            return int(number * per_us)
    raise ValueError(f"{text!r} is no time")


def _date_us(text: str) -> int:
    moment = None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        for pattern in _FORMATS:
            try:
                moment = datetime.strptime(text, pattern)  # noqa: DTZ007 - made UTC below
                break
            except ValueError:
                continue
    if moment is None:
        raise ValueError(f"{text!r} is no time")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
