"""Candles that touch a gap: live ones are judged in place, stored ones are repaired."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from functions.candle_aggregate.evict import evict
from functions.candle_aggregate.gaps import judge_gaps
from functions.candle_aggregate.publish import publication
from functions.candle_aggregate.repair import repair
from shared import events
from shared.adapter.app import Outcome
from shared.adapter.event import OutgoingEvent
from shared.candle import CandleState
from shared.gaps import Gap, GapState, encode_gaps
from shared.kernel import CandleKey
from tests.functions.candle_aggregate.house import LATER_US, MINUTE, NOW_US, RULES, House, ticks

GAP = Gap("A", "A", 100, 109, 70_000_000, 130_000_000)
TOUCHED = {("A", "1m", MINUTE), ("A", "1m", 2 * MINUTE), ("A", "5m", 0)}


def tell(house: House, *gaps: Gap) -> None:
    id_ = "/".join(f"{gap.first_id}-{gap.state}" for gap in gaps)
    house.deliver(Outcome([OutgoingEvent.packed(id_, events.GAP, encode_gaps("x", gaps))]))


def judge(house: House) -> set[CandleKey]:
    """Judge, publish what is closed; return what changed."""
    judged = judge_gaps(house.store, house.postgres, RULES, house.epoch, NOW_US)
    house.deliver(publication(house.store, judged.closed))
    changed = {**judged.closed, **judged.open}.values()
    return {(state.instrument, state.timeframe, state.start_us) for state in changed}


def incomplete_live(house: House) -> set[CandleKey]:
    keys = {key: house.store.keys.candle(*key) for key in house.live()}
    read = house.store.read(list(keys.values()))
    return {
        key
        for key, name in keys.items()
        if (value := read[name].value) is not None and not CandleState.decode(value).complete
    }


def incomplete_stored(house: House) -> set[CandleKey]:
    with psycopg.connect(house.database) as connection:
        rows = connection.execute(
            "SELECT instrument, timeframe, start_us FROM candles WHERE NOT complete"
        ).fetchall()
    return {(name, timeframe, start) for name, timeframe, start in rows}


def test_live_candles_are_incomplete_while_the_gap_is_open(house: House) -> None:
    """They are published so, under a higher revision, and once again when it is filled."""
    house.apply("e1", ticks(0, 40))
    tell(house, GAP)
    assert judge(house) == TOUCHED
    assert incomplete_live(house) == TOUCHED
    assert incomplete_stored(house) == TOUCHED
    assert judge(house) == set()
    tell(house, replace(GAP, state=GapState.FILLED))
    assert judge(house) == TOUCHED
    assert incomplete_live(house) == incomplete_stored(house) == set()


def test_a_candle_that_begins_in_an_open_gap_is_judged_too(house: House) -> None:
    """An open candle as well: it is shown, and stays incomplete as ticks go on coming."""
    tell(house, GAP)
    assert judge(house) == set()
    house.apply("e1", ticks(0, 5))
    assert judge(house) == {("A", "1m", MINUTE), ("A", "5m", 0)}
    house.apply("e2", ticks(5, 35))
    assert judge(house) == {("A", "1m", 2 * MINUTE)}
    assert incomplete_live(house) == TOUCHED


def test_two_gaps_must_both_be_filled(house: House) -> None:
    """One of them leaves the candle incomplete."""
    house.apply("e1", ticks(0, 40))
    other = replace(GAP, first_id=200, last_id=200, from_us=80_000_000, to_us=90_000_000)
    tell(house, GAP, other)
    judge(house)
    tell(house, replace(GAP, state=GapState.FILLED))
    assert judge(house) == {("A", "1m", 2 * MINUTE)}
    tell(house, replace(other, state=GapState.FILLED))
    assert judge(house) == {("A", "1m", MINUTE), ("A", "5m", 0)}


def test_candles_that_have_left_the_state_are_repaired(house: House) -> None:
    """By the queue that persist fills when it stores the gap; others are left alone."""
    rows = ticks(0, 40)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    assert not TOUCHED & house.live()
    tell(house, GAP)
    assert judge(house) == set()
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    assert incomplete_stored(house) == TOUCHED
    tell(house, replace(GAP, state=GapState.FILLED))
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    assert incomplete_stored(house) == set()
    before = house.stored()
    tell(house, replace(GAP, state=GapState.FILLED), replace(GAP, state=GapState.OPEN))
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    assert house.stored() == before  # an "open" that comes late changes nothing
