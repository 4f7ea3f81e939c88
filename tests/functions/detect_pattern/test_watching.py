"""PATTERN_WATCH=watchlist: only watched series are evaluated, as if always watched."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from shared.adapter.event import Event
from shared.realtime.watchlist import Watched, Watchlist
from shared.wire import events
from shared.wire.candle import Candle
from shared.wire.candle_columns import encode_batch
from tests.functions.detect_pattern.house import RULES, House, candle, reference


class Watching:
    """The handler with a watchlist that is read each time, over the house's stores."""

    def __init__(self, house: House) -> None:
        house.postgres.check()
        storage = Storage(house.postgres)
        self.house = house
        self.list = Watchlist(house.client)
        self.handle = DetectPattern(
            Steps(storage, RULES, selective=True),
            house.store,
            Delivery(storage, frozenset()),
            Watched(self.list, refresh_s=0.0),
        )

    def receive(self, candles: Sequence[Candle]) -> None:
        """Deliver closed candles, also to persist."""
        self.house.persist_candles(candles)
        body = encode_batch(list(candles))
        self.house.deliver(self.handle(Event("c", events.CANDLES, "", {}, body)))

    def tick(self) -> None:
        """The clock."""
        self.house.deliver(self.handle(Event("t", events.CLOCK, "", {}, b"")))

    def told(self) -> set[str]:
        """Instruments with published patterns."""
        return {each.instrument for each in self.house.emitted}


@pytest.fixture
def watching(house: House) -> Watching:
    return Watching(house)


def rising(minutes: range, instrument: str) -> list[Candle]:
    return [candle(n, 100 + n, instrument=instrument) for n in minutes]


def test_only_what_is_watched_is_evaluated(watching: Watching) -> None:
    """Only instruments of the user's list and the scanner's keys are evaluated."""
    watching.list.add(["A"])
    watching.house.client.set("scanner:latest:B", "{}")
    watching.receive([each for name in "ABC" for each in rising(range(3), name)])
    assert watching.told() == {"A", "B"}
    watching.list.remove(["A"])
    watching.list.add(["C"])
    watching.receive([each for name in "AC" for each in rising(range(3, 9), name)])
    assert watching.told() == {"A", "B", "C"}
    assert max(e.start_us for e in watching.house.emitted if e.instrument == "A") < 3 * 60_000_000


def test_a_state_that_is_lost_or_new_takes_in_only_what_is_watched(watching: Watching) -> None:
    """A lost or new state takes in watched instruments only, and storage has all candles."""
    watching.list.add(["A"])
    watching.house.persist_candles([*rising(range(9), "A"), *rising(range(9), "B")])
    watching.tick()
    watching.tick()
    assert watching.told() == {"A"}


def test_what_came_while_it_was_not_watched_is_evaluated_from_storage(watching: Watching) -> None:
    """Candles from before an instrument was watched are evaluated from storage."""
    coming = rising(range(30), "A")
    watching.list.add(["A", "B"])
    watching.receive(coming[:10])
    watching.list.remove(["A"])
    watching.receive(coming[10:20])
    watching.list.add(["A"])
    watching.receive(coming[20:])
    assert watching.house.stored() == reference(coming)
