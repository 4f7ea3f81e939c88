"""Longer candles folded again while their instrument goes on."""

from __future__ import annotations

from typing import Any

import pytest

from functions.candle_aggregate.corrections import refold, repair
from shared.stores.first_ticks import beginnings
from tests.functions.candle_aggregate.trades import BEGIN_US, trades
from tests.functions.candle_aggregate.world import MINUTE, World


def test_a_base_candle_that_closes_during_a_repair_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not live yet when the repair looked, and is stored already when it reads storage."""
    world.ship(trades(0, 8))  # minutes 0 and 1, and the beginning of 2
    world.deliver_all()
    world.sql.execute(
        "INSERT INTO repairs (instrument, timeframe, start_us, event_id, reason)"
        " VALUES ('A', '5m', %s, 'asked 1', 'asked')",
        (BEGIN_US,),
    )
    world.step(1)
    done: list[bool] = []

    def meanwhile(*arguments: Any) -> Any:
        if not done:
            done.append(True)
            world.ship(trades(8, 6))  # minute 3, and the beginning of 4
            world.deliver_all()
        return beginnings(*arguments)

    monkeypatch.setattr(refold, "beginnings", meanwhile)
    world.deliver(lambda: repair.repair(world.engine, world.postgres, world.rules, world.now_us))
    assert done
    assert ("A", "1m", BEGIN_US + 3 * MINUTE) in world.stored()
    world.settle()
    world.assert_right()
