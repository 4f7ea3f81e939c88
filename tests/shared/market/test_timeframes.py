"""Timeframes that nest, and the starts of their intervals."""

from __future__ import annotations

import pytest

from shared.market.timeframes import DEFAULT_LADDER, Timeframe, parse_ladder


def test_timeframes_must_nest() -> None:
    """Timeframes that are no multiples of the shorter ones are refused."""
    assert [t.name for t in parse_ladder(DEFAULT_LADDER)] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    with pytest.raises(ValueError, match="7m is not a multiple of 5m"):
        parse_ladder("1m,5m,7m")
    with pytest.raises(ValueError, match="such as 1m"):
        Timeframe.parse("1x")


def test_an_interval_begins_at_its_multiple() -> None:
    """An interval begins at a multiple of its timeframe, also before 1970."""
    minute = Timeframe.parse("1m")
    assert minute.start_us(119_999_999) == 60_000_000
    assert minute.start_us(120_000_000) == 120_000_000
    assert minute.start_us(-1) == -60_000_000
