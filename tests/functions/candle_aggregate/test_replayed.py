"""A replay in any order, sent twice, during eviction, repairs and storing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from functions.candle_aggregate.corrections import repair_queue
from shared.market.timeframes import parse_ladder
from tests.functions.candle_aggregate.trades import BEGIN_US
from tests.functions.candle_aggregate.truth import Row, with_id
from tests.functions.candle_aggregate.world import RULES, World

STEPS_US = (0, 1_000, 700_000, 9_000_000, 30_000_000)


def test_every_order_gives_the_same_candles(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every order gives the same candles, and each revision has one content.

    More late candles at once than a repair takes.
    """
    monkeypatch.setattr(repair_queue, "CANDLES_AT_ONCE", 40)
    chance = random.Random(2)
    ladder = parse_ladder("1m,5m,15m,1h")
    world.restart(replace(RULES, keep_us=20_000_000, ladder=ladder))
    time_us, trades = BEGIN_US - 86_400_000_000, []
    for n in range(800):
        time_us += chance.choice(STEPS_US)
        trades.append(("A", time_us, *with_id(n), 100 + n % 7, 1 + n % 300, n % 3))
    trades += trades
    chance.shuffle(trades)
    while trades:
        size = chance.randint(5, 120)
        some, trades = trades[:size], trades[size:]
        world.send(
            [
                Row(*trade[:-3], world.now_us + n, "udp-1", len(trades) + n, *trade[-3:])
                for n, trade in enumerate(some)
            ]
        )
        for _ in range(chance.randint(0, 3)):
            _do_something(world, chance)
    world.settle()
    while world.sql.execute("SELECT count(*) FROM repairs").fetchone() != (0,):
        world.settle()
    world.assert_right()


def _do_something(world: World, chance: random.Random) -> None:
    kind = chance.choice(["apply", "store", "clock", "deliver"])
    if kind == "apply":
        for event_id in world.to_apply[: chance.randint(1, 3)]:
            world.apply(event_id)
    elif kind == "store":
        for event_id in world.to_store[: chance.randint(1, 3)]:
            world.persist_ticks(event_id)
    elif kind == "deliver":
        world.deliver_all()
    else:
        world.step(chance.choice([1, 10, 30]))
        world.now_us += -world.now_us % 10_000_000
        world.tick_clock()
