from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.cli.times import time_us


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-1h", 1_699_996_400_000_000),
        ("1700000000123", 1_700_000_000_123_000),
        ("2023-11-14T22:13:20.5", 1_700_000_000_500_000),
        ("2023-11-15T00:13:20+02:00", 1_700_000_000_000_000),
    ],
)
def test_times_are_ago_iso_8601_or_ms(text: str, expected: int) -> None:
    """As the history API takes them."""
    assert time_us(text, datetime.fromtimestamp(1_700_000_000, UTC)) == expected
