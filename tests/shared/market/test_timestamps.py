"""Timestamps are read in the unit that follows from their size; ambiguous ones are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.market.timestamps import parse_us, scaled_us

NOON_US = 1_740_052_800_000_000


@pytest.mark.parametrize(
    "text",
    [
        *("1740052800", "1740052800.0", "1.7400528e9", "1740052800000", "1740052800000000"),
        *("1740052800000000000", "2025-02-20T12:00:00Z", "2025-02-20 12:00:00", "20250220T120000Z"),
        *("2025-02-20T13:00:00+01:00", "2025-02-20 12:00:00 UTC", "2025.02.20 12:00:00"),
        *("2025/02/20 12:00", "2025-02-20T12:00:00.000000999Z", "2025-02-20t12:00z"),
        *("2025-02-20 12:00:00 GMT", "2025-02-20T11:59:60Z", "2025-02-20T12:59:60.0+01:00"),
    ],
)
def test_every_format_of_a_time_gives_the_same_microseconds(text: str) -> None:
    """One time in seconds, ms, us, ns and ISO 8601 gives the same result.

    Without an offset it is UTC.
    """
    assert parse_us(text) == NOON_US


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("20250220", "write 2025-02-20,"),
        ("202502201200", "write 2025-02-20T12:00:00"),
        ("20250220120000", "write 2025-02-20T12:00:00"),
        ("20250220120000123", "write 2025-02-20T12:00:00"),
        ("86400000", "not a time since 1980"),
        ("0", "not a time since 1980"),
        ("0000000001", "not a time since 1980"),
        ("2025-02-20T12:30:60Z", "is not a time"),
        ("-5", "is not a time"),
        ("20/02/2025", "is not a time"),
        ("2025-02-30", "is not a time"),
        ("2025-02-20T00:00:00 00:00", "%2B"),
        ("٣", "is not a time"),
    ],
)
def test_an_ambiguous_time_names_the_fix(text: str, fix: str) -> None:
    """An ambiguous or invalid time is refused with a fix: a guess could be another day."""
    with pytest.raises(ValueError, match=fix):
        parse_us(text)


def test_a_text_without_an_offset_is_in_the_zone() -> None:
    """A text without an offset is read in the given zone, the API's `tz`."""
    assert parse_us("2025-02-20T13:00", ZoneInfo("Europe/Paris")) == NOON_US


@given(st.lists(st.integers(0, 2**63 - 1), max_size=6))
@example([1740052800, 1740052801])
@example([1740052800000, 1740052800000000])
@example([315_532_799, 10**11, 20250220120000, 0])
def test_columns_of_times_are_read_like_single_times(numbers: list[int]) -> None:
    """A column of numbers is read as `parse_us` reads each, or refused if it may hold dates."""
    us, ok = scaled_us(np.array(numbers, dtype=np.int64))
    for number, time_us, is_time in zip(numbers, us.tolist(), ok.tolist(), strict=True):
        try:
            expected = parse_us(str(number))
        except ValueError:
            assert not is_time
            continue
        if is_time:
            assert time_us == expected
        else:
            assert datetime.fromtimestamp(expected / 10**6, UTC).year > 2200
