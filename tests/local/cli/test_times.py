from __future__ import annotations

import pytest

from local.cli.options.times import time_us
from local.errors import UsageError
from shared.market.timestamps import parse_relative_us


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-1h", 1_699_996_400_000_000),
        ("-2w", 1_698_790_400_000_000),
        ("-999999d", 0),
        ("1700000000", 1_700_000_000_000_000),
        ("1700000000123", 1_700_000_000_123_000),
        ("1700000000123456", 1_700_000_000_123_456),
        ("2023-11-14T22:13:20.5", 1_700_000_000_500_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000_000),
    ],
)
def test_times_are_ago_iso_8601_or_in_any_unit(text: str, expected: int) -> None:
    """A time is relative, ISO 8601 or a number of any unit, as in the history API."""
    assert parse_relative_us(text, 1_700_000_000_000_000) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [("20231114", "write 2023-11-14"), ("soon", "is not a time"), ("-1y", "ago such as -24h")],
)
def test_an_invalid_time_is_quoted_with_a_fix(text: str, said: str) -> None:
    """An invalid time is quoted with a fix; digits that read as a date are no milliseconds."""
    with pytest.raises(UsageError, match=f"--from: .*{said}"):
        time_us(text, "--from")
