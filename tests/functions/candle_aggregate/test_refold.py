"""Longer candles are folded again while their instrument goes on trading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.candle_aggregate.corrections import refold, repair
from functions.candle_aggregate.steps.store import Value
from shared.market.timeframes import parse_ladder
from shared.stores.first_ticks import beginnings
from shared.wire.candle import VENUE
from shared.wire.ticks import VOLUME_ONLY
from tests.functions.candle_aggregate.test_history import history, kline, live_from, publish, totals
from tests.functions.candle_aggregate.trades import BEGIN_US, trade, trades
from tests.functions.candle_aggregate.world import MINUTE, RULES, World


def test_a_base_candle_that_closes_during_a_repair_counts_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A base candle that closes during a repair, live and stored, counts once."""
    world.ship(trades(0, 8))  # minutes 0, 1 and the start of 2
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
            world.ship(trades(8, 6))  # minute 3 and the start of 4
            world.deliver_all()
        return beginnings(*arguments)

    monkeypatch.setattr(refold, "beginnings", meanwhile)
    world.deliver(lambda: repair.repair(world.context))
    assert done
    assert ("A", "1m", BEGIN_US + 3 * MINUTE) in world.stored()
    world.settle()
    world.assert_right()


def test_live_candles_are_looked_at_in_two_round_trips(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live candles are read in two round trips, however many blocks are live."""
    world.restart(replace(RULES, keep_us=3_600_000_000))
    world.ship(trades(0, 1))
    world.ship(trades(1, 44))
    reads = []
    read = world.store.read_hashes

    def counted(wanted: Sequence[tuple[str, Sequence[Value]]]) -> list[list[bytes | None]]:
        reads.append(len(wanted))
        return read(wanted)

    monkeypatch.setattr(world.store, "read_hashes", counted)
    view = world.engine.run(world.shard_of("A"), lambda session: refold.view_live(session, ["A"]))
    assert len(view.base) == 15
    assert reads == [15, 1]


def test_a_candle_with_the_first_tick_stays_partial_while_that_tick_is_not_stored(
    world: World,
) -> None:
    """A candle with the first tick stays partial until that tick is stored.

    The live state alone knows that nothing came before it.
    """
    world.restart(replace(RULES, ladder=parse_ladder("1m,15m")))
    event_id = world.send([trade(240, 1, 600)])
    assert world.apply(event_id)
    world.step(120)
    assert world.tick_clock()
    world.deliver_all()
    world.restart(replace(RULES, ladder=parse_ladder("1m,5m,15m")))
    assert world.apply(event_id)
    world.step(120)
    assert world.tick_clock()  # the 5m candle is folded: it is new to the ladder
    world.deliver_all()
    assert world.stored()["A", "5m", BEGIN_US]["partial"]
    world.settle()
    world.assert_right()


def test_a_late_trade_without_a_price_leaves_the_venues_candle(world: World) -> None:
    """The venue's candle stays, also in the longer candle that is folded again."""
    publish(world, history(map(kline, range(7)), 0, 7))
    world.deliver_all()
    live_from(world, 7, 5)
    world.settle()
    world.ship([trade(125, "late", 100, flags=VOLUME_ONLY)])
    world.settle()
    assert totals(world, "1m")[2] == (3, VENUE)
    assert totals(world, "5m")[0] == (15, VENUE)
