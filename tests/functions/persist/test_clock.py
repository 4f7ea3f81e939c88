"""The wall clock is set back by an hour: nothing waits until it has caught up."""

from __future__ import annotations

import time
from dataclasses import replace

from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from shared.stores.postgres import Postgres
from shared.wire.busts import Bust
from shared.wire.feed_status import FeedState, FeedStatus, SymbolStatus

HOUR_US = 3_600_000_000


def test_a_feed_reports_on_after_the_clock_was_set_back(postgres: Postgres) -> None:
    """A status from before the clock was set back does not outrank those since."""
    now_us = time.time_ns() // 1000
    symbol = SymbolStatus("BTCUSDT", "BTC-USDT", FeedState.LIVE)
    before = FeedStatus("binance", "s", now_us + HOUR_US, 0, None, "", (symbol,))
    writer = FeedWriter(postgres)
    assert writer.status(before)
    assert writer.status(replace(before, reported_us=now_us, reconnects=1))
    assert not writer.status(replace(before, reported_us=now_us - 1))
    with postgres.connection() as connection:
        rows = connection.execute("SELECT reported_us, reconnects FROM feeds").fetchall()
    assert rows == [(now_us, 1)]


def test_a_cancel_is_tried_again_after_the_clock_was_set_back(postgres: Postgres) -> None:
    """A cancel that waits for its trade is tried again within its longest pause."""
    writer = BustWriter(postgres)
    bust = Bust("A", None, "1", 0, False, "", "", 0, 0, b"a bust", may_be_absent=True)
    writer("e", "s", 1, [bust])
    with postgres.connection() as connection:
        connection.execute("UPDATE pending_busts SET next_at = now() + interval '1 hour'")
    writer.retry()
    with postgres.connection() as connection:
        waits = "SELECT count(*) FROM pending_busts WHERE next_at < now() + interval '20 minutes'"
        assert connection.execute(waits).fetchone() == (1,)
