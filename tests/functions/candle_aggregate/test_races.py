"""Interleavings that a review found, each at its very point: no candle comes out wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from functions.candle_aggregate import history, rebuild
from functions.candle_aggregate.apply import TickEvent
from functions.candle_aggregate.clock import unconfirmed, unconfirmed_late
from functions.candle_aggregate.evict import evict
from functions.candle_aggregate.history import Known
from functions.candle_aggregate.publish import publication
from functions.candle_aggregate.reconcile import aggregated_before, reconcile
from functions.candle_aggregate.repair import repair
from shared.adapter.app import Outcome
from tests.functions.candle_aggregate.house import (
    LATER_US,
    MINUTE,
    NOW_US,
    RULES,
    House,
    counts,
    ticks,
)
from tests.functions.candle_aggregate.reference import Tick, as_columns
from tests.functions.candle_aggregate.test_apply import apply_ticks

END = [Tick("A", 10**12, 10**6, 100, 1, 1)]
"""Closes everything before it."""


def settle(house: House, now_us: int = LATER_US) -> None:
    """Let the clock do all that is left to do."""
    for _ in range(5):
        waiting = unconfirmed(house.store, now_us, 0)
        late = unconfirmed_late(house.store, now_us, 0)
        house.deliver(publication(house.store, waiting, late))
        house.age(31)
        for change in reconcile(house.store, house.postgres, RULES, house.epoch, now_us):
            late = unconfirmed_late(house.store, now_us, 0)
            house.deliver(publication(house.store, change.closed, late))
        house.deliver(repair([house.store], house.postgres, RULES, now_us))


def assert_right(house: House, rows: Sequence[Tick]) -> None:
    """Close everything, settle, and compare what Postgres holds with the definition."""
    house.store_ticks("end", END)
    house.apply("end", END, LATER_US)
    settle(house)
    stored = {key: n for key, (n, _) in house.stored().items()}
    assert {key: stored.get(key) for key in counts(rows)} == counts(rows)


def both(house: House, event_id: str, rows: Sequence[Tick], now_us: int = NOW_US) -> None:
    house.store_ticks(event_id, rows)
    house.apply(event_id, rows, now_us)


def test_a_trade_sent_twice_above_one_floor_and_below_another_counts_once(house: House) -> None:
    """Longer candles have left while a shorter one begins: its ids are checked all the same."""
    rows = [Tick("A", 10_000_000, 1, 100, 1, 1), Tick("A", 70_000_000, 2, 100, 1, 1)]
    later = [Tick("A", 6 * MINUTE, 3, 100, 1, 1)]
    both(house, "e1", rows)
    both(house, "e2", later)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    twice = [Tick("A", 200_000_000, 9, 100, 5, 1)]
    both(house, "x", twice, LATER_US)
    both(house, "y", twice, LATER_US)
    assert_right(house, rows + later + twice)


def test_redis_lost_just_after_the_longest_interval_turned(house: House) -> None:
    """The interval before is open or not emitted yet: it is rebuilt, and closes."""
    slow = replace(RULES, allowed_lateness_us=2_000_000)
    rows, turned = ticks(0, 15), [Tick("A", 5 * MINUTE + 500_000, 900, 100, 1, 1)]
    for event_id, some in (("e1", rows), ("e2", turned)):
        house.store_ticks(event_id, some)
        applied = apply_ticks(house.store, slow, house.epoch, event_id, as_columns(some), NOW_US)
        assert applied is not None
        house.deliver(publication(house.store, applied.closed))
        house.age(31)
        reconcile(house.store, house.postgres, RULES, house.epoch, NOW_US)
    house.client.flushdb()
    assert house.epoch == 2
    assert_right(house, rows + turned)


def test_an_event_that_is_late_for_more_after_a_rebuild(house: House) -> None:
    """Its second late batch says more than its first, and is not taken for a repetition."""
    rows = ticks(0, 10)
    both(house, "e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    late = [Tick("A", 30_000_000, 1_000, 999, 5, 1)]
    house.apply("e2", late, LATER_US)  # late for the minute, merged into the five; not stored yet
    after = [Tick("A", 11 * MINUTE, 2_000, 100, 1, 1)]
    house.store_ticks("e3", after)
    apply_ticks(house.store, RULES, house.epoch, "e3", as_columns(after), LATER_US)  # cut off
    house.client.flushdb()
    assert house.epoch == 2
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    house.store_ticks("e2", late)
    settle(house)
    assert_right(house, rows + late + after)


def test_an_event_stored_long_after_it_was_applied_is_not_repaired_away(house: House) -> None:
    """A repair that ran before its ticks were stored is run again once they are."""
    rows = ticks(0, 10)
    both(house, "e1", rows)
    slow = [Tick("A", 25_000_000, 500, 100, 1, 1)]
    house.apply("slow", slow)  # persist has it in backoff
    house.apply("e2", [Tick("A", 6 * MINUTE, 600, 100, 1, 1)])
    house.store_ticks("e2", [Tick("A", 6 * MINUTE, 600, 100, 1, 1)])
    settle(house, NOW_US)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    late = [Tick("A", 30_000_000, 1_000, 999, 5, 1)]
    both(house, "e3", late, LATER_US)
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    assert house.stored()["A", "1m", 0][0] == 4  # without the slow one
    house.store_ticks("slow", slow)
    assert_right(house, [*rows, *slow, *late, Tick("A", 6 * MINUTE, 600, 100, 1, 1)])


def test_no_repair_while_the_state_is_rebuilt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its higher epoch would outrank the candle that the rebuild is about to make."""
    rows = [*ticks(0, 3), Tick("A", 70_000_000, 500, 100, 1, 1)]
    both(house, "e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    late = [Tick("A", 30_000_000, 1_000, 999, 5, 1)]
    both(house, "e2", late, LATER_US)
    house.client.flushdb()
    meanwhile: list[Outcome] = []
    instruments = history.known_instruments

    def with_a_repair(*arguments: object) -> list[Known]:
        meanwhile.append(repair([house.store], house.postgres, RULES, LATER_US))
        return instruments(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rebuild, "known_instruments", with_a_repair)
    assert house.epoch == 2
    assert [list(outcome.emit) for outcome in meanwhile] == [[]]
    more = [Tick("A", 40_000_000, 1_001, 999, 5, 1)]
    both(house, "e3", more, LATER_US)
    assert_right(house, rows + late + more)


def test_an_event_without_ticks_does_not_stop_reconciling(house: House) -> None:
    """It is recorded and passed over."""
    house.store_ticks("empty", [])
    both(house, "e1", ticks(0, 3))
    settle(house)
    assert 0 < house.client.ttl("{0}:applied:e1") <= 600


def test_a_post_repeated_after_its_marker_ended_counts_once(house: House) -> None:
    """It is received anew each time, so its receive time says nothing: Postgres is always asked."""
    both(house, "http-k-1", ticks(0, 3))
    settle(house)
    house.client.delete("{0}:applied:http-k-1")
    columns = replace(as_columns(ticks(0, 3)), receive_time_us=np.full(3, LATER_US))
    known = aggregated_before(
        house.postgres, RULES, 0, [TickEvent("http-k-1", columns, may_repeat=True)], LATER_US
    )
    assert known == ["http-k-1"]
