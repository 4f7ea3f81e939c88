"""Open candles are shown at most so often, and the newest state wins."""

from __future__ import annotations

from functions.candle_aggregate.conflate import Conflation
from shared.candle import CandleState
from shared.kernel import partial_candles
from shared.timeframes import Timeframe
from tests.functions.candle_aggregate.reference import Tick, as_columns

MINUTE = 60_000_000


def candle(name: str, start_us: int, revision: int, *, closed: bool = False) -> CandleState:
    ticks = as_columns([Tick(name, start_us, 1, 100, 1, 1)])
    (state,) = partial_candles(ticks, Timeframe.parse("1m"))
    state.revision, state.closed = revision, closed
    return state


def revisions(states: list[CandleState]) -> list[tuple[str, int]]:
    return sorted((state.instrument, state.revision) for state in states)


def test_the_first_goes_at_once_and_the_newest_when_its_turn_comes() -> None:
    """What came in between is never shown; another instrument does not wait for it."""
    conflation = Conflation(250)
    assert revisions(conflation.offer([candle("A", 0, 1)], 1_000)) == [("A", 1)]
    assert conflation.offer([candle("A", 0, 2)], 1_100) == []
    assert revisions(conflation.offer([candle("B", 0, 1), candle("A", 0, 3)], 1_200)) == [("B", 1)]
    assert revisions(conflation.offer([], 1_250)) == [("A", 3)]
    assert conflation.offer([], 9_000) == []


def test_a_closed_candle_takes_the_place_of_its_open_state() -> None:
    """It is published for good elsewhere; its older open state must not be shown after it."""
    conflation = Conflation(250)
    conflation.offer([candle("A", 0, 1)], 1_000)
    assert conflation.offer([candle("A", 0, 2)], 1_100) == []
    assert conflation.offer([candle("A", 0, 3, closed=True)], 1_300) == []
    assert revisions(conflation.offer([candle("A", MINUTE, 1)], 2_000)) == [("A", 1)]


def test_zero_shows_nothing() -> None:
    """Who has no display pays nothing for it."""
    assert Conflation(0).offer([candle("A", 0, 1)], 1_000) == []
