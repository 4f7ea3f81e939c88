"""State against storage: what leaves Redis, what is repaired, and what comes back after a loss."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import psycopg
import pytest

from functions.candle_aggregate.apply import TickEvent
from functions.candle_aggregate.clock import unconfirmed_late
from functions.candle_aggregate.epoch import current_epoch
from functions.candle_aggregate.evict import evict
from functions.candle_aggregate.publish import publication
from functions.candle_aggregate.reconcile import aggregated_before, reconcile
from functions.candle_aggregate.repair import repair
from functions.candle_aggregate.sample import sample
from shared.candle import CandleState
from shared.errors import TransientError
from shared.state import pack
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


def test_closed_stored_and_untouched_candles_leave_the_state(house: House) -> None:
    """Not before the keeping time, not while open, not unless Postgres has that very revision."""
    rows = ticks(0, 40)  # 13 minutes and 20 seconds: three 5m candles, the last one open
    house.apply("e1", rows)
    everything = house.live()
    assert evict(house.store, house.postgres, RULES, house.epoch, NOW_US + 59_000_000) == 0
    with psycopg.connect(house.database) as connection:
        connection.execute(
            "DELETE FROM candles WHERE timeframe = '1m' AND start_us = %s", (3 * MINUTE,)
        )
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    left = everything - house.live()
    # The oldest first and without a hole: what follows a candle that must stay, stays.
    assert {start for _, timeframe, start in left if timeframe == "1m"} == {0, MINUTE, 2 * MINUTE}
    assert {start for _, timeframe, start in left if timeframe == "5m"} == {0, 5 * MINUTE}
    assert ("A", "5m", 10 * MINUTE) in house.live()


def test_a_tick_below_the_floor_is_repaired_from_storage(house: House) -> None:
    """It begins no second candle; once its ticks are stored the whole candle is computed anew."""
    rows = ticks(0, 40)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    late = [Tick("A", 30_000_000, 1_000, 999, 5, 1)]
    applied = house.apply("e2", late, LATER_US)
    assert applied.late == {"e2": [("A", "1m", 0), ("A", "5m", 0)]}
    assert house.stored()["A", "1m", 0] == (3, 1)
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    assert house.stored()["A", "1m", 0] == (3, 1)  # the late tick is not stored yet
    house.store_ticks("e2", late)
    house.deliver(repair([house.store], house.postgres, RULES, LATER_US))
    stored = house.stored()
    assert stored["A", "1m", 0] == (4, 2)
    assert stored["A", "5m", 0] == (16, 2)
    with psycopg.connect(house.database) as connection:
        assert connection.execute("SELECT count(*) FROM repairs").fetchone() == (0,)
        row = connection.execute(
            "SELECT high, close FROM candles WHERE timeframe = '1m' AND start_us = 0"
        ).fetchone()
    assert row is not None
    assert [float(value) for value in row] == [9.99, 1.02]


def test_a_late_tick_still_counts_in_longer_candles_that_are_live(house: House) -> None:
    """Its minute has left, its five minutes have not: one is merged, the other repaired; once."""
    rows = ticks(0, 10)  # 3 minutes and 20 seconds: the 5m candle is open
    house.apply("e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    assert ("A", "1m", 0) not in house.live()
    late = [rows[0], Tick("A", 30_000_000, 1_000, 999, 5, 1)]  # the first is a repetition
    applied = house.apply("e2", late, LATER_US)
    assert applied.late == {"e2": [("A", "1m", 0)]}
    closing = house.apply("e3", [Tick("A", 5 * MINUTE, 2_000, 100, 1, 1)], LATER_US)
    (five,) = [s.candle for s in closing.closed.values() if s.timeframe == "5m"]
    assert five.trade_count == 11


def test_a_late_batch_that_was_not_emitted_is_emitted_by_the_clock(house: House) -> None:
    """Cut off between commit and emit, a repair is not forgotten."""
    rows = ticks(0, 40)
    house.apply("e1", rows)
    evict(house.store, house.postgres, RULES, house.epoch, LATER_US)
    columns = as_columns([Tick("A", 30_000_000, 1_000, 999, 5, 1)])
    apply_ticks(house.store, RULES, house.epoch, "e2", columns, LATER_US)
    assert list(unconfirmed_late(house.store, LATER_US + 1_000_000)) == []
    waiting = unconfirmed_late(house.store, LATER_US + 6_000_000)
    assert list(waiting) == ["e2"]
    house.deliver(publication(house.store, {}, waiting))
    assert unconfirmed_late(house.store, LATER_US + 6_000_000) == {}


def test_any_order_with_evictions_ends_in_the_same_candles(house: House) -> None:
    """Shuffled batches, some twice, with evictions and repairs in between, equal the reference."""
    source = random.Random(4)
    rows = ticks(0, 120)
    batches = [rows[i : i + 8] for i in range(0, len(rows), 8)]
    deliveries = [*enumerate(batches), *source.sample(list(enumerate(batches)), 4)]
    source.shuffle(deliveries)
    now_us = NOW_US
    done = set()
    for n, batch in deliveries:
        columns = as_columns(batch)
        house.store_ticks(f"e{n}", batch)
        applied = apply_ticks(house.store, RULES, house.epoch, f"e{n}", columns, now_us)
        assert (applied is None) == (n in done)
        done.add(n)
        if applied is not None:
            late = unconfirmed_late(house.store, now_us, 0)
            house.deliver(publication(house.store, applied.closed, late))
        now_us += source.choice([1_000_000, 70_000_000])
        evict(house.store, house.postgres, RULES, house.epoch, now_us)
        house.deliver(repair([house.store], house.postgres, RULES, now_us))
    end = Tick("A", 10**12, 10**6, 100, 1, 1)  # closes everything
    house.apply("end", [end], now_us)
    stored = {key: n for key, (n, _) in house.stored().items()}
    assert stored == counts(rows)


def test_a_lost_state_is_rebuilt_and_nothing_counts_twice(house: House) -> None:
    """Flushed: open candles, latest prices and markers come back; revisions outrank the old."""
    rows = ticks(0, 40)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    first_epoch = house.epoch
    live = house.live()
    house.client.flushdb()
    with pytest.raises(TransientError, match="rebuilt"):
        # A worker that still has the old epoch in hand writes nothing.
        apply_ticks(house.store, RULES, first_epoch, "e2", as_columns(ticks(40, 1)), NOW_US)
    assert house.epoch == first_epoch + 1
    # The rebuilt state begins with the last but one interval of the longest timeframe.
    assert house.live() == {key for key in live if key[2] >= 5 * MINUTE}
    assert apply_ticks(house.store, RULES, house.epoch, "e1", as_columns(rows), NOW_US) is None
    applied = house.apply("e2", ticks(40, 6))
    expected = counts(rows + ticks(40, 6))
    for key, state in applied.closed.items():
        place = (state.instrument, state.timeframe, state.start_us)
        assert state.candle.trade_count == expected[place], key
        assert state.revision >> 32 == house.epoch


def test_what_was_stored_but_not_applied_is_reconciled(house: House) -> None:
    """Applied to the lost state but stored after the rebuild: no delivery would bring it back."""
    rows = ticks(0, 10)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    lost = ticks(10, 2)
    house.apply("e2", lost)  # applied, acknowledged, but not stored yet
    house.client.flushdb()
    epoch = house.epoch
    house.store_ticks("e2", lost)
    assert reconcile(house.store, house.postgres, RULES, epoch, NOW_US) == []  # too young
    house.age(31)
    (change,) = reconcile(house.store, house.postgres, RULES, epoch, NOW_US)
    assert change.closed or change.open
    assert reconcile(house.store, house.postgres, RULES, epoch, NOW_US) == []
    applied = house.apply("e3", [Tick("A", 10 * MINUTE, 500, 100, 1, 1)])
    (five,) = [s.candle for s in applied.closed.values() if s.timeframe == "5m"]
    assert five.trade_count == 12


def test_a_marker_ends_only_when_postgres_knows_what_it_says(house: House) -> None:
    """However late an event is stored, and however late it comes again, it counts once."""
    rows = ticks(0, 10)
    house.apply("e1", rows)
    assert house.client.ttl("{0}:applied:e1") == -1  # no end
    event = TickEvent("e1", replace(as_columns(rows), receive_time_us=np.full(10, NOW_US)))
    days_later = NOW_US + 3 * 86_400_000_000
    assert aggregated_before(house.postgres, RULES, 0, [event], days_later) == []
    house.store_ticks("e1", rows)
    house.age(31)
    assert reconcile(house.store, house.postgres, RULES, house.epoch, NOW_US) == []
    assert 0 < house.client.ttl("{0}:applied:e1") <= 600
    house.client.delete("{0}:applied:e1")  # it has expired
    assert aggregated_before(house.postgres, RULES, 0, [event], NOW_US) == []  # too young to ask
    assert aggregated_before(house.postgres, RULES, 0, [event], days_later) == ["e1"]


def test_a_rebuild_repairs_what_was_waiting_for_candles_of_long_ago(house: House) -> None:
    """Stored but never applied, and older than the rebuilt state: the closed candles get it too."""
    rows = ticks(0, 40)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    house.store_ticks("e2", [Tick("A", 30_000_000, 1_000, 999, 5, 1)])
    house.client.flushdb()
    assert house.epoch == 2
    house.deliver(repair([house.store], house.postgres, RULES, NOW_US))
    assert house.stored()["A", "1m", 0][0] == 4
    assert house.stored()["A", "5m", 0][0] == 16


def test_a_sampled_candle_that_differs_from_its_ticks_is_told(house: House) -> None:
    """Equal ones are silent; one that was tampered with is not; fresh ones are not judged."""
    rows = ticks(0, 40)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    much_later = NOW_US + 180_000_000
    assert all(sample(house.store, house.postgres, RULES, much_later) == [] for _ in range(20))
    for start in house.store.candles("A", "1m", 100):
        key = house.store.keys.candle("A", "1m", start)
        read = house.store.read([key])[key]
        assert read.value is not None
        state = CandleState.decode(read.value)
        state.bar = replace(state.bar, trade_count=99)
        house.client.set(key, pack(read.number, state.encode()))
    # Not before its event is on record: until then its ticks may be on their way.
    assert all(sample(house.store, house.postgres, RULES, much_later) == [] for _ in range(20))
    house.age(31)
    reconcile(house.store, house.postgres, RULES, house.epoch, NOW_US)
    assert sample(house.store, house.postgres, RULES, NOW_US + 60_000_000) == []
    found = [
        key for _ in range(30) for key in sample(house.store, house.postgres, RULES, much_later)
    ]
    assert found
    assert {key[:2] for key in found} == {("A", "1m")}


def test_one_holder_rebuilds(house: House) -> None:
    """While one does, the others answer that the event is to come again."""
    house.client.flushdb()
    with psycopg.connect(house.database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('kandle rebuild 0'))")
        with pytest.raises(TransientError, match="being rebuilt"):
            current_epoch(house.store, house.postgres, RULES, NOW_US)


def test_a_rebuild_that_is_cut_off_begins_anew(house: House) -> None:
    """Keys without an epoch are leftovers: they are cleared, not trusted."""
    rows = ticks(0, 10)
    house.store_ticks("e1", rows)
    house.apply("e1", rows)
    house.client.delete("{0}:epoch")
    house.client.set("{0}:candle:1m:0:A", b"half written")
    assert house.epoch == 2
    assert house.store.read(["{0}:candle:1m:0:A"])["{0}:candle:1m:0:A"].number > 0
