"""Patterns depend only on the candles at their highest revisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import psycopg
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.detect_pattern.step import REFRESH_MS
from shared.wire.candle import Candle
from tests.functions.detect_pattern.house import MINUTE, House, candle, reference


@dataclass(frozen=True)
class Delivery:
    """A batch, the fault before it, and whether its emission is interrupted."""

    candles: Sequence[Candle]
    wait_ms: int
    flushed: bool
    cut_off: bool
    persist_stops: bool


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    """Candles of up to 60 minutes, some absent or corrected, in any order, some repeated."""
    minutes = draw(st.sampled_from([range(60), range(0, 60, 2), None])) or draw(
        st.lists(st.integers(0, 60), min_size=1, max_size=60, unique=True)
    )
    versions = []
    for minute in minutes:
        closes = draw(st.lists(st.integers(100, 110), min_size=1, max_size=3))
        versions += [candle(minute, close, n + 1) for n, close in enumerate(closes)]
    again = draw(st.lists(st.sampled_from(versions)))
    if draw(st.booleans()):
        order = draw(st.permutations([*versions, *again]))
    else:  # mostly in time order, as candles arrive
        swapped = {each: draw(st.integers(0, 9)) for each in versions}
        order = sorted(versions, key=lambda c: (c.start_us // MINUTE + swapped[c], c.revision))
        order += again
    cuts = sorted(draw(st.sets(st.integers(0, len(order)), max_size=12)) | {0, len(order)})
    return [
        Delivery(
            order[a:b],
            draw(st.sampled_from([0, 0, 1_000, 5_000, 40_000])),
            draw(st.integers(0, 9)) == 0,
            draw(st.integers(0, 4)) == 0,
            draw(st.integers(0, 3)) == 0,
        )
        for a, b in pairwise(cuts)
    ]


@pytest.mark.timeout(600)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(coming=deliveries())
def test_any_order_repetition_and_loss_ends_in_the_same_patterns(
    valkey: redis.Redis, database: str, coming: list[Delivery]
) -> None:
    """Any order, repetition and loss of candles gives the same patterns.

    Over the real stores; Redis is lost, emissions are interrupted and repeated. Redis is lost again
    only after storage has caught up with the loss before: docs/patterns.md.
    """
    valkey.flushdb()
    with psycopg.connect(database) as connection:
        for table in ("candles", "patterns", "applied_events"):
            exists = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
            if exists and exists[0]:
                connection.execute(f"TRUNCATE {table}".encode())
    house = House(valkey, database)
    caught_up_ms = 0
    try:
        for delivery in coming:
            if delivery.flushed:
                if house.now_ms < caught_up_ms:
                    house.persist_goes_on()
                    house.tick(REFRESH_MS + 1_000)
                valkey.flushdb()
                caught_up_ms = house.now_ms + REFRESH_MS
            if delivery.wait_ms > 30_000:  # the refresh assumes that persist has finished
                house.persist_goes_on()
            house.tick(delivery.wait_ms)
            if delivery.persist_stops:
                house.persist_stops()
            outcome = house.receive(delivery.candles)
            if delivery.cut_off:
                outcome = house.receive(delivery.candles)
            house.deliver(outcome)
        house.persist_goes_on()
        house.settle()
        expected = reference(each for delivery in coming for each in delivery.candles)
        assert house.heard() == expected
        assert house.stored() == expected
    finally:
        house.postgres.close()


def test_what_a_lost_state_withdrew_is_told_again(valkey: redis.Redis, database: str) -> None:
    """A retraction by a state that was lost is published again."""
    house = House(valkey, database)
    house.tick()
    house.deliver(house.receive([candle(0, 100), candle(1, 101)]))
    assert house.heard() == {("rise", 1)}
    house.persist_stops()
    valkey.flushdb()
    house.deliver(house.receive([candle(0, 102, 2)]))
    assert house.heard() == set()
    valkey.flushdb()
    house.deliver(house.receive([candle(0, 100, 3)]))
    house.persist_goes_on()
    house.settle()
    assert house.heard() == house.stored() == {("rise", 1)}
    house.postgres.close()


def test_patterns_found_again_after_a_lost_database_outrank_the_former_ones(
    valkey: redis.Redis, database: str
) -> None:
    """Clients that know patterns of a lost database take in those of the new one."""
    house = House(valkey, database)
    for revision in range(1, 4):  # states of the old database that were lost
        valkey.flushdb()
        house.deliver(house.receive([candle(0, 100), candle(1, 100 + revision, revision)]))
    former = max(each.revision for each in house.emitted)
    valkey.flushdb()
    with house.postgres.connection() as connection:
        connection.execute("TRUNCATE candles, patterns")
        connection.execute("ALTER SEQUENCE IF EXISTS pattern_epoch RESTART")
    house.emitted.clear()
    house.deliver(house.receive([candle(0, 100), candle(1, 101)]))
    assert [each.revision > former for each in house.emitted] == [True]
    house.postgres.close()


def test_a_clock_that_was_set_back_delays_nothing(valkey: redis.Redis, database: str) -> None:
    """Series that wait for a time are due in it after the clock was set back an hour."""
    house = House(valkey, database)
    house.tick()
    house.persist_candles([candle(9, 100, instrument="B"), candle(10, 101, instrument="B")])
    house.receive([candle(0, 100), candle(1, 101)])  # not emitted: to be sent again
    house.receive([candle(5, 102)])  # waits for those before it
    house.now_ms -= 3_600_000
    house.tick()
    house.tick(REFRESH_MS + 1)
    assert house.heard() == house.stored() == {("rise", 1), ("rise", 5), ("rise", 10)}
    house.postgres.close()
