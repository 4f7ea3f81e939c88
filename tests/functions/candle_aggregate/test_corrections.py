"""A trade that its venue corrects under other ids counts once, in any order of arrival."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

import pytest

from shared.adapter.event import OutgoingEvent
from shared.wire import events
from shared.wire.busts import Bust, encode
from shared.wire.raw_batch import FORMAT_ALPACA
from shared.wire.ticks import VOLUME_ONLY
from tests.functions.candle_aggregate.trades import BEGIN_US, SECOND, trade
from tests.functions.candle_aggregate.truth import Row
from tests.functions.candle_aggregate.world import MINUTE, World, sampled

TIMES: Final = (10, 15, 100, 700)
"""Seconds at which the venue may list what a trade at second 10 was corrected to."""
PRICES: Final = (200, 300, 400)


@dataclass
class Tape:
    """A venue's messages about one trade of `name`: print 0, corrections 1 and 2, and lists of it.

    `by_root`: the second correction names the first id again, and not that of the first one.
    """

    world: World
    name: str
    by_root: bool
    at: tuple[int, int, int]
    listed: int = 0

    def id_of(self, number: int) -> str:
        return f"V:{number}"

    def print_(self, number: int = 0) -> None:
        self.world.ship([self.row(number)])

    def correct(self, number: int) -> None:
        original = 0 if self.by_root else number - 1
        self.bust(original, number, f"{Decimal(PRICES[number]) / 100}")

    def cancel(self, number: int) -> None:
        self.bust(number)

    def list_(self, state: int) -> None:
        """REST's row of the trade after its n-th correction; 3: cancelled."""
        for number in range(min(state, 3)):
            at_us = BEGIN_US + self.at[number] * SECOND
            self.bust(number, at_us=at_us)
        if state < 3:
            self.print_(state)

    def row(self, number: int) -> Row:
        self.listed += 1
        row = trade(self.at[number], self.id_of(number), PRICES[number], name=self.name)
        return row._replace(receive_us=row.receive_us + 100 * number + self.listed)

    def bust(
        self, number: int, corrected: int = 3, price: str = "", at_us: int = 0, flags: int = 0
    ) -> None:
        """`at_us`: the time that a list gives it.

        The tape is received in its order, which differs from that of arrival.
        """
        self.world.now_us += 1
        bust = Bust(
            *(self.name, None, self.id_of(number), at_us),
            *(bool(price), price, "0.005" if price else ""),
            *(BEGIN_US + 3_600 * SECOND + corrected, 0, b"a bust"),
            *(self.id_of(corrected) if price else "", flags, at_us > 0),
        )
        body = encode("alpaca-1", FORMAT_ALPACA, [bust])
        self.world.to_persist(OutgoingEvent.packed(f"b{self.world.now_us}", events.BUSTS, body))


def candles_of(world: World, name: str) -> list[tuple[int, int, Decimal, Decimal]]:
    """Minute, trades, close and volume of the candles with a trade."""
    return [
        ((start_us - BEGIN_US) // MINUTE, *row)
        for start_us, *row in world.sql.execute(
            "SELECT start_us, trade_count, close, volume FROM candles WHERE instrument = %s"
            " AND timeframe = '1m' AND trade_count > 0 ORDER BY start_us",
            (name,),
        )
    ]


def test_chains_of_corrections_count_once_in_any_order(world: World) -> None:
    """A trade with a chain of corrections counts once in any order of arrival.

    Live, listed by REST at the same or another time, with a cancel at last, Redis lost.
    """
    dice = random.Random(18)
    wanted: dict[str, list[tuple[int, int, Decimal, Decimal]]] = {}
    tapes: list[tuple[Tape, int]] = []
    for number in range(16):
        times = dice.sample(TIMES, 2)
        tape = Tape(world, f"S{number}", dice.random() < 0.3, (10, times[0], times[1]))
        last = dice.choice([1, 2, 2, 3])
        steps: list[Callable[[], None]] = [tape.print_, partial(tape.correct, 1)]
        if last > 1:
            steps.append(partial(tape.correct, 2))
        if last > 2:
            steps.append(partial(tape.cancel, 0 if tape.by_root else 2))
        steps += [partial(tape.list_, dice.randint(0, last)) for _ in range(dice.randint(0, 2))]
        dice.shuffle(steps)
        for step in steps:
            step()
            if dice.random() < 0.3:
                world.step(1)
                world.persist.busts.retry()
        tapes.append((tape, last))
        price = Decimal(PRICES[min(last, 2)]) / 100
        wanted[tape.name] = [] if last > 2 else [(0, 1, price, Decimal("0.005"))]
    for _ in range(2):
        world.settle()
        assert {name: candles_of(world, name) for name in wanted} == wanted
        counted = world.sql.execute("SELECT instrument, count(*) FROM ticks GROUP BY 1").fetchall()
        assert dict(counted) == {name: 1 for name, each in wanted.items() if each}
        assert world.sql.execute("SELECT code, detail FROM rejects").fetchall() == []
        assert sampled(world) == set()
        world.client.flushdb()
        for tape, last in tapes:
            tape.list_(last)


def test_a_corrected_trade_of_which_only_the_list_is_known_is_no_reject(world: World) -> None:
    """A correction of a lost trade counts once REST lists the corrected one, and is no reject."""
    tape = Tape(world, "S", by_root=False, at=(10, 100, 700))
    tape.correct(1)
    tape.list_(1)
    world.settle()
    assert candles_of(world, "S") == [(1, 1, Decimal(3), Decimal("0.005"))]
    assert world.sql.execute("SELECT code FROM rejects").fetchall() == []
    tape.correct(2)
    world.settle()
    assert candles_of(world, "S") == [(1, 1, Decimal(4), Decimal("0.005"))]


def test_a_correction_says_the_conditions_that_its_trade_has_instead(world: World) -> None:
    """A corrected trade has the correction's flags, odd lot or not."""
    tape = Tape(world, "S", by_root=False, at=(10, 10, 10))
    world.ship([trade(20, "V:9", 100, name="S")])
    tape.print_()
    tape.bust(0, 1, "9", flags=VOLUME_ONLY)
    world.settle()
    assert candles_of(world, "S") == [(0, 2, Decimal(1), Decimal("0.01"))]


@pytest.mark.parametrize("seconds", [10, 100])
def test_a_list_and_a_correction_at_the_same_moment(world: World, seconds: int) -> None:
    """A list and a correction in concurrent commits count the trade once."""
    tape = Tape(world, "S", by_root=False, at=(10, seconds, 700))
    tape.print_()
    with ThreadPoolExecutor(2) as pool:
        event_id = world.send([tape.row(1)])
        both = [pool.submit(world.persist_ticks, event_id), pool.submit(tape.correct, 1)]
        for each in both:
            each.result()
    assert world.apply(event_id)
    world.settle()
    assert candles_of(world, "S") == [(0, 1, Decimal(3), Decimal("0.005"))]
