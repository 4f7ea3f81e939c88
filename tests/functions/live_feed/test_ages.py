"""Ages of shown messages: from receipt to now, none in a quiet market, candles behind trades."""

from __future__ import annotations

from functions.live_feed.ages import HELD_US, Ages
from functions.live_feed.protocols.frames import Update

SECOND = 1_000_000


def test_ages_are_those_of_the_newest_and_end_with_quiet() -> None:
    """Ages are those of the newest message, and unknown after ten quiet seconds."""
    now_us = 100 * SECOND
    ages = Ages(lambda: now_us)
    assert (ages.trades_s(), ages.candles_s()) == (0, 0)
    ages.take(Update(1, "ticks:A", b"", received_us=97 * SECOND))
    ages.take(Update(2, "ticks:B", b"", received_us=50 * SECOND))
    ages.take(Update(3, "candles:1m:A", b"", received_us=96 * SECOND))
    ages.take(Update(4, "patterns:A", b"", received_us=1))
    assert (ages.trades_s(), ages.candles_s()) == (3, 4)
    now_us += HELD_US
    assert (ages.trades_s(), ages.candles_s()) == (0, 0)


def test_candles_that_trades_have_overtaken_lag() -> None:
    """The last candle lags by the nine seconds of trades since."""
    now_us = 100 * SECOND
    ages = Ages(lambda: now_us)
    ages.take(Update(1, "candles:1m:A", b"", received_us=100 * SECOND))
    now_us = 109 * SECOND
    ages.take(Update(2, "ticks:A", b"", received_us=109 * SECOND))
    assert ages.trades_s() < 0.001
    assert ages.candles_s() == 9
    now_us = 118 * SECOND
    ages.take(Update(3, "ticks:A", b"", received_us=118 * SECOND))
    assert ages.candles_s() == 18
