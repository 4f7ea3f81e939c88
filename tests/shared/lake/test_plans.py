"""Postgres alone, or the lake and then Postgres: the same ticks at any time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from functions.history_query.queries.tick_slices import TickSlices
from shared.errors import TransientError
from shared.lake.maintenance import compaction, snapshot
from shared.lake.reading import plan
from shared.lake.reading.cold import Cold
from shared.market.timeframes import Timeframe
from shared.market.utc_days import DAY_US, begin_us, day_of
from shared.reading import recompute
from shared.reading.recompute import recomputed
from shared.stores import partitions
from shared.stores.s3 import S3Access
from shared.stores.segments import ticks_of_instruments
from shared.wire.ticks import Ticks
from tests.functions.history_query.market import Tick, generated
from tests.shared.lake.house import House
from tests.shared.lake.test_lake import keys, stored

MINUTE_US: Final = 60_000_000
TICKS: Final = generated(21, 400, 9_000_000)
FEW: Final = st.integers(1, 20)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies and compactions are small, so that there are several of each."""
    monkeypatch.setattr(snapshot, "_MOST_ROWS", 40)
    monkeypatch.setattr(compaction, "ALIKE", 2)


@pytest.mark.usefixtures("eager")
def test_both_plans_agree_whatever_is_done_in_which_order(
    lake: House,
) -> None:
    """Both plans agree after ticks, copies, compactions and drops in any order."""

    lake.make_days(TICKS[:200])

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            lake.symbol = f"S{uuid.uuid4().hex[:8]}/X"
            self.sent: list[Tick] = []

        @rule(first=st.integers(0, len(TICKS) - 1), count=FEW)
        def put(self, first: int, count: int) -> None:
            some = TICKS[first : first + count]
            lake.put(some, size=8)
            self.sent += some

        @rule()
        def copy(self) -> None:
            lake.copy()

        @rule(hours=st.integers(0, 40))
        def fold(self, hours: int) -> None:
            lake.compact(TICKS[0].time_us + hours * 60 * MINUTE_US)

        @rule()
        def leave(self) -> None:
            lake.compact()
            lake.age()
            lake.retain()

        @invariant()
        def same(self) -> None:
            assert stored(lake) == keys(self.sent)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=4,
            stateful_step_count=10,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("eager")
def test_a_backlog_is_copied_part_by_part(lake: House) -> None:
    """A backlog of more segments than one fetch is copied in parts."""
    ticks = TICKS[:200]
    lake.put(ticks, size=2)
    parts = []
    while count := lake.copy():
        parts.append(count)
    assert sum(parts) == len(ticks)
    assert max(parts) < 60
    assert stored(lake) == keys(ticks)
    assert lake.repeated == 0


@pytest.mark.usefixtures("eager")
def test_runs_that_are_alike_become_one_while_the_hour_goes_on(lake: House) -> None:
    """Runs of similar size are merged during the hour, each row a few times; then one is left."""
    ticks = generated(22, 96, 1_000_000)
    before_us = ticks[0].time_us
    copies = folds = most = 0
    for first in range(0, len(ticks), 8):
        lake.put(ticks[first : first + 8], size=8)
        copies += bool(lake.copy())
        folds += lake.compact(before_us)
        most = max(most, len(lake.files()))
    assert most <= 1 + copies.bit_length()
    assert folds < copies
    assert stored(lake) == keys(ticks)
    lake.compact()
    assert len(lake.files()) == 1
    assert stored(lake) == keys(ticks)


def test_a_hot_day_is_read_from_postgres_while_object_storage_is_away(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While object storage is away a hot day is read from Postgres at once.

    A cold day is an error with the reason.
    """
    ticks = TICKS[:100]
    lake.make_days(ticks)
    lake.put(ticks)
    lake.copy()
    monkeypatch.setattr(plan, "MOST_TICKS", 0)
    span = ticks[0].time_us, ticks[-1].time_us + 1
    nowhere = Cold(S3Access("http://127.0.0.1:9", "nobody", "nothing"))
    for cold in (lake.cold, nowhere):
        assert cold.is_there
        read = TickSlices(lake.postgres, cold).slices(lake.symbol, *span, MINUTE_US, newest=False)
        found = [some.trades.rows for some in read]
        times = sorted(time_us for rows in found for time_us in rows.time_us.tolist())
        assert times == [time_us for time_us, *_ in keys(ticks)]
    assert not nowhere.is_there
    lake.compact()
    lake.age()
    lake.retain()
    with pytest.raises(TransientError, match="object storage is away"):
        list(TickSlices(lake.postgres, nowhere).slices(lake.symbol, *span, MINUTE_US, newest=True))


def test_a_day_stays_while_candles_are_recomputed_from_it(
    lake: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day that is to leave Postgres waits for a recomputation that reads it there."""
    ticks = TICKS[:100]
    lake.make_days(ticks)
    lake.put(ticks)
    lake.copy()
    lake.compact()
    lake.age()
    monkeypatch.setattr(partitions, "_READERS_S", 0.1)

    def while_a_day_leaves(*arguments: Any) -> Iterator[Ticks]:
        assert lake.retain() == []
        return ticks_of_instruments(*arguments)

    monkeypatch.setattr(recompute, "ticks_of_instruments", while_a_day_leaves)
    days = [day_of(tick.time_us) for tick in ticks]
    span = begin_us(min(days)), begin_us(max(days)) + DAY_US
    with lake.postgres.connection() as connection:
        base = Timeframe.parse("1m")
        parts = list(recomputed(connection, [lake.symbol], *span, base, lake.cold))
    assert sum(int(part.records.data["count"].sum()) for part in parts) == len(keys(ticks))
