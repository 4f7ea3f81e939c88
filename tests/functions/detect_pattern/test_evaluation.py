"""Evaluation by example: gaps, corrections, the cooldown, and old candles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from functions.detect_pattern import storage
from functions.detect_pattern.series import Series
from functions.detect_pattern.window import Window
from shared.runtime import metrics
from tests.functions.detect_pattern.house import (
    GRACE_MS,
    MINUTE,
    NAME,
    RULES,
    House,
    cancelled,
    candle,
    reference,
)


def rises(house: House) -> set[int]:
    return {minute for name, minute in house.stored() if name == "rise"}


def test_a_missing_neighbour_delays_evaluation_until_the_clock_gives_it_up(house: House) -> None:
    """A missing candle delays the next one's evaluation for the grace period."""
    house.deliver(house.receive([candle(0, 100)]))
    house.deliver(house.receive([candle(2, 105)]))
    house.tick(GRACE_MS - 1)
    assert rises(house) == set()
    house.tick(1)
    assert rises(house) == {2}


def test_a_neighbour_that_comes_in_time_is_evaluated_first(house: House) -> None:
    """A candle that arrives within the grace is evaluated first, so nothing is retracted."""
    house.deliver(house.receive([candle(0, 100)]))
    house.deliver(house.receive([candle(2, 105)]))
    house.deliver(house.receive([candle(1, 103)]))
    assert rises(house) == {1}
    assert house.stored(retracted=True) == set()


def test_a_correction_shifts_what_the_cooldown_let_through(house: House) -> None:
    """A correction of the first pattern shifts the cooldown: 1, 4, 7 becomes 2, 5, 8."""
    house.deliver(house.receive([candle(n, 100 + n) for n in range(10)]))
    assert rises(house) == {1, 4, 7}
    house.deliver(house.receive([candle(1, 90, revision=2)]))
    assert rises(house) == {2, 5, 8}
    assert {m for name, m in house.stored(retracted=True) if name == "rise"} == {1, 4, 7}


def test_a_pattern_that_returns_keeps_its_id(house: House) -> None:
    """A pattern found, retracted and found again is one row with rising revisions."""
    house.deliver(house.receive([candle(0, 100), candle(1, 101)]))
    house.deliver(house.receive([candle(1, 99, revision=2)]))
    house.deliver(house.receive([candle(1, 102, revision=3)]))
    emitted = [each for each in house.emitted if each.pattern == "rise"]
    assert [each.retracted for each in emitted] == [False, True, False]
    assert len({each.id for each in emitted}) == 1
    assert sorted({each.revision for each in emitted}) == [each.revision for each in emitted]


def test_a_revision_that_changes_nothing_is_not_told(house: House) -> None:
    """A rebuilt candle with the same values publishes nothing."""
    house.deliver(house.receive([candle(0, 100), candle(1, 101)]))
    count = len(house.emitted)
    house.deliver(house.receive([candle(1, 101, revision=9)]))
    assert len(house.emitted) == count


@pytest.mark.parametrize("minute", [2, 27, 30])
def test_a_correction_behind_the_state_is_evaluated_from_storage(house: House, minute: int) -> None:
    """A correction older than the state is evaluated with a window from storage."""
    coming = [candle(n, 100 + n * 7 % 10) for n in range(40)]
    for n in range(0, 40, 5):
        house.deliver(house.receive(coming[n : n + 5]))
    house.settle()
    blob = house.store.read([NAME])[NAME].value
    assert blob is not None
    stored = Series.decode(blob)
    assert stored is not None
    assert len(stored.candles) == RULES.keep
    corrected = candle(minute, 150, revision=2)
    house.deliver(house.receive([corrected]))
    assert house.stored() == reference([*coming, corrected])


def test_a_correction_too_far_back_is_left_out_and_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction older than the bound on reads is counted and not evaluated."""
    monkeypatch.setattr(storage, "MOST", 20)
    coming = [candle(n, 100 + n * 7 % 10) for n in range(60)]
    for n in range(0, 60, 5):
        house.deliver(house.receive(coming[n : n + 5]))
    house.settle()
    before = metrics.PATTERN_CANDLES_TOO_OLD._value.get()
    house.deliver(house.receive([candle(1, 150, revision=2)]))
    assert metrics.PATTERN_CANDLES_TOO_OLD._value.get() == before + 1
    assert house.stored() == reference(coming)


def test_prices_that_are_not_above_zero_are_a_break_in_the_series(house: House) -> None:
    """Prices of zero or below break a series: no pattern is on or across them."""
    house.deliver(house.receive([candle(0, 100), candle(1, -5), candle(2, 101), candle(3, 102)]))
    assert rises(house) == {3}


@pytest.mark.parametrize(
    "wrong", [{"low": Decimal(103)}, {"high": Decimal(1)}, {"volume": Decimal(-1)}]
)
def test_a_candle_that_contradicts_itself_is_a_break_too(
    house: House, wrong: dict[str, Decimal]
) -> None:
    """An inconsistent candle breaks a series, and later candles are evaluated."""
    poison = replace(candle(1, 101), **wrong)  # type: ignore[arg-type]
    house.deliver(house.receive([candle(0, 100), poison, candle(2, 102), candle(3, 103)]))
    assert rises(house) == {3}


def test_several_series_in_one_event_are_evaluated_together(house: House) -> None:
    """Several series of one event are evaluated as if each were alone."""
    candles = [candle(n, 100 + n, instrument=name) for n in range(3) for name in ("A", "B")]
    house.deliver(house.receive(candles))
    assert {(each.instrument, each.pattern) for each in house.emitted} == {
        ("A", "rise"),
        ("B", "rise"),
    }


@pytest.mark.parametrize("close", [Decimal("1.5"), Decimal(10**25) + Decimal("0.5")])
def test_the_stored_form_is_read_back(close: Decimal) -> None:
    """A stored series is read back exactly, also empty and beyond 64 bits."""
    one = replace(candle(1, 1), open=close, high=close, low=Decimal("-0.25"), close=close)
    window = Window.of([one, replace(one, start_us=2 * MINUTE, revision=5)], received_ms=9)
    full = Series("A", "1m", 7, window, 60, whole=False)
    for series in (Series("A", "1m", 7), full):
        read = Series.decode(series.encode())
        assert read is not None
        assert read.candles.table.tolist() == series.candles.table.tolist()
        assert read.candles.price_scale == series.candles.price_scale
        assert read.candles.volume_scale == series.candles.volume_scale
        assert replace(read, candles=series.candles) == series


@pytest.mark.parametrize("lost", [False, True], ids=["live", "loaded"])
def test_a_candle_whose_trades_are_cancelled_takes_its_patterns_back(
    house: House, *, lost: bool
) -> None:
    """A withdrawn candle retracts its patterns, and others are evaluated without it."""
    house.deliver(house.receive([candle(0, 100), candle(1, 105), candle(2, 103)]))
    assert rises(house) == {1}
    if lost:
        house.settle()
        house.client.flushdb()
    house.deliver(house.receive([cancelled(1, 100)]))
    house.settle()
    assert rises(house) == {2}
    assert {m for name, m in house.stored(retracted=True) if name == "rise"} == {1}
    house.deliver(house.receive([candle(3, 103), candle(1, 105, revision=3)]))
    assert rises(house) == {1}


def test_withdrawn_candles_fill_no_window(house: House) -> None:
    """Withdrawn candles are not in a window: those around them are neighbours."""
    for n in range(2 * RULES.lookback):
        next_candle = cancelled(n, 1) if n % 2 else candle(n, 100 + n)
        house.deliver(house.receive([next_candle]))
    house.settle()
    rest = [candle(n, 100 + n) for n in range(0, 2 * RULES.lookback, 2)]
    assert house.stored() == reference(rest)
