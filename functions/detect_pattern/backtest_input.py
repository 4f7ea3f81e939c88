"""Candles of a CSV file as the columns that detectors take."""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np

from functions.detect_pattern.candles import Candles

MAX_CANDLES: Final = 5_000_000

_NAMES: Final = {
    "time": ("start_us", "start_ms", "start", "time", "timestamp", "date", "datetime", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v"),
}
_UNITS_US: Final = {"start_us": 1, "start_ms": 1_000}
_SIZES: Final = (
    (10**11, Decimal(10**6)),
    (10**14, Decimal(10**3)),
    (10**17, Decimal(1)),
    (10**20, Decimal("0.001")),
)
_FORMATS: Final = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y", "%Y%m%d")


class InputError(Exception):
    """A file has no candles that can be used; the message says which row, and what is wrong."""


def read_candles(path: str) -> Candles:
    """Read a CSV file (also .gz; `-` is standard input) whose header names time, o, h, l, c.

    Columns may have their long names or initials, in any order; a missing volume is 0. Times are
    ISO 8601 or month/day/year, UTC where they do not say, or numbers: seconds, ms, us or ns since
    1970, told apart by their size where the name (start_us, start_ms) does not. Raises InputError.
    """
    if path == "-":
        return _read("standard input", sys.stdin)
    try:
        with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open() as file:
            return _read(path, file)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _read(name: str, file: Iterable[str]) -> Candles:
    rows = csv.DictReader(file)
    columns = _columns(name, rows.fieldnames or ())
    starts, values = [], []
    unit_us = _UNITS_US.get(columns["time"].strip().lower())
    for number, row in enumerate(rows, 1):
        try:
            starts.append(_time_us(row[columns["time"]], unit_us))
            values.append([float(row[columns[key]]) for key in ("open", "high", "low", "close")])
            values[-1].append(float(row[columns["volume"]] or 0) if "volume" in columns else 0.0)
        except (ValueError, TypeError) as error:
            raise InputError(f"{name}: row {number}: {error}") from None
        if len(starts) > MAX_CANDLES:
            raise InputError(f"{name}: more than {MAX_CANDLES:,} candles")
    if not starts:
        raise InputError(f"{name}: has no candles")
    table = np.array(values).T.copy()
    try:
        return Candles(np.array(starts, dtype=np.int64), *table)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _columns(name: str, header: Iterable[str]) -> Mapping[str, str]:
    known = {each.strip().lower(): each for each in header}
    found = {
        key: known[alias]
        for key, aliases in _NAMES.items()
        for alias in [next((each for each in aliases if each in known), None)]
        if alias is not None
    }
    missing = [key for key in _NAMES if key not in found and key != "volume"]
    if missing:
        raise InputError(f"{name}: its header names no {', '.join(missing)}")
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
