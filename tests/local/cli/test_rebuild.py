"""`kandle rebuild`: how long it waits."""

from __future__ import annotations

from local.cli.commands.rebuild import open_for_s
from shared.market.timeframes import Timeframe

MINUTE, HOUR_US = Timeframe.parse("1m"), 3_600_000_000


def test_the_wait_begins_when_the_newest_base_candle_ends() -> None:
    """An open candle is recomputed once its minute is over; candles that are over wait for none."""
    now_us = 10 * HOUR_US + 20_000_000
    live, over = ("BTC", "1m", 10 * HOUR_US), ("BTC", "1h", 9 * HOUR_US)
    assert open_for_s([over, live], MINUTE, now_us) == 40
    assert open_for_s([("BTC", "1h", 10 * HOUR_US)], MINUTE, now_us) == 40
    assert open_for_s([over], MINUTE, now_us) == 0
