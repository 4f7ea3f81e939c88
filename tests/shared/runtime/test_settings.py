"""Settings from the environment."""

from __future__ import annotations

import pytest

from shared.market.timeframes import parse_ladder
from shared.runtime.settings import Environment, SettingsError


def test_all_bad_settings_are_reported_together() -> None:
    """One error reports all missing and bad settings."""
    env = Environment({"COUNT": "many", "TIMEFRAMES": "1m,90s"})
    env.text("DATABASE_URL")
    env.integer("COUNT", 5, 1, 10)
    env.parsed("TIMEFRAMES", "1m", parse_ladder)
    with pytest.raises(SettingsError) as caught:
        env.check()
    text = str(caught.value)
    assert "DATABASE_URL is not set" in text
    assert "COUNT='many' is not a whole number from 1 to 10" in text
    assert "TIMEFRAMES: timeframe 90s is not a multiple of 1m" in text
