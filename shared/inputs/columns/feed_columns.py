"""Text columns of feeds into exact columns, with faults by row.

Columns are parsed at once; only irregular values (exponents, signs, long numbers, errors), and few,
are parsed one by one, by the rules of a CSV line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np

from shared.inputs.columns.packed_text import FEW, Spans, Text
from shared.inputs.text.line import Number, RejectedLineError, check_symbol, time_of
from shared.inputs.venues.elements import NO_TIME
from shared.inputs.venues.messages import text_of
from shared.market.decimals import INT64_MAX
from shared.market.instruments import Market, Naming
from shared.market.timestamps import scaled_us, us_of
from shared.wire.ticks import Int64s, Mantissas

LARGEST_ID: Final = 10**18 - 1
"""Longer trade ids are not integers in CSV either."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
"""A trade id or another number that counts."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in ISO 8601."""


class Fault(NamedTuple):
    """Why a row is none."""

    code: str
    detail: str


class Faults(dict[int, Fault]):
    """Faults by row; the first one counts."""

    def add(self, row: int, code: str, detail: str) -> None:
        """Note a fault."""
        self.setdefault(row, Fault(code, detail))

    def good(self, n: int) -> Int64s:
        """Return the rows, out of n, without a fault."""
        mask = np.ones(n, dtype=bool)
        mask[list(self)] = False
        return np.flatnonzero(mask)


def texts_of(values: list[Any]) -> list[str]:
    """Return decimals as texts: a feed sends either those or JSON numbers."""
    is_raw = len(values) > 0 and isinstance(values[0], msgspec.Raw)
    return list(map(text_of, values)) if is_raw else values


def decimals(
    read: Callable[[str, str], Number], field: str, texts: Sequence[str], faults: Faults
) -> tuple[Mantissas, Int64s]:
    """Return mantissas and scales of decimals; `read`: price_of or size_of."""
    mantissa: Mantissas
    joined = "".join(texts)
    if len(texts) > FEW and joined.isascii():
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        end = np.cumsum(lengths)
        mantissa, scale, plain = Text(joined.encode()).decimals(Spans(end - lengths, end))
        irregular = np.flatnonzero(~plain).tolist()
    else:
        mantissa, scale = np.zeros((2, len(texts)), dtype=np.int64)
        irregular = list(range(len(texts)))
    for row in irregular:
        try:
            number = read(field, texts[row])
        except RejectedLineError as error:
            faults.add(row, error.code, str(error))
            mantissa[row] = scale[row] = 0
            continue
        if abs(number.mantissa) > INT64_MAX and mantissa.dtype != object:
            mantissa = mantissa.astype(object)
        mantissa[row], scale[row] = number
    return mantissa, scale


def times_of(field: str, values: list[Any], faults: Faults) -> list[int]:
    """Return times as numbers in any unit: a feed sends those, or datetimes, or texts."""
    times = list(values)
    for row in [n for n, value in enumerate(values) if type(value) is not int]:
        try:
            times[row] = _time(field, values[row])
        except RejectedLineError as error:
            faults.add(row, error.code, str(error))
            times[row] = NO_TIME
    return times


def _time(field: str, value: str | datetime | None) -> int:
    if isinstance(value, datetime):
        return us_of(value)
    return time_of(field, value) if value else NO_TIME


def epoch_us(field: str, times: Sequence[int], faults: Faults, *, required: bool) -> Int64s:
    """Return times since 1970 in microseconds, with the unit inferred from the magnitude.

    NO_TIME stands for a missing time.
    """
    try:
        values = np.array(times, dtype=np.int64)
    except OverflowError:
        fitting = [max(-INT64_MAX, min(time, INT64_MAX)) for time in times]
        values = np.array(fitting, dtype=np.int64)
    us, ok = scaled_us(values)
    missing = values == NO_TIME
    invalid = ~ok & (~missing | required)
    for row in np.flatnonzero(invalid).tolist():
        problem = (
            "is missing" if missing[row] else f"{values[row]} is not a time since 1980 in any unit"
        )
        faults.add(row, "bad_time", f"{field} {problem}: it must be the exchange's time")
    return np.where(missing, NO_TIME, us)


class Named(NamedTuple):
    """Instruments of rows: `symbol` is an index into `names`, as is `markets`."""

    names: tuple[str, ...]
    markets: tuple[Market, ...]
    symbol: Int64s


def named(
    field: str, venue: str, originals: Sequence[str], naming: Naming, faults: Faults
) -> Named:
    """Return the instruments of an exchange's names; each name is mapped once."""
    numbers: dict[str, int] = {}
    of_row = np.array([numbers.setdefault(o, len(numbers)) for o in originals], dtype=np.int64)
    number_of: dict[str, int] = {}
    markets: list[Market] = []
    instrument_of = np.zeros(len(numbers), dtype=np.int64)
    for original, number in numbers.items():
        market = Market(venue, original)
        try:
            check_symbol(original, field)
            name = check_symbol(naming.instrument(market), field)
        except RejectedLineError as error:
            for row in np.flatnonzero(of_row == number).tolist():
                faults.add(row, error.code, str(error))
            continue
        if name not in number_of:
            number_of[name] = len(number_of)
            markets.append(market)
        instrument_of[number] = number_of[name]
    symbol = instrument_of[of_row] if len(of_row) else of_row
    return Named(tuple(number_of), tuple(markets), symbol)
