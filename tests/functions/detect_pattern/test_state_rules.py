"""Rules about quotes, gaps and feeds: at the change, once, despite interruptions."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import psycopg
import pytest

from functions.detect_pattern.state_rules import note_emitted, raise_state_alerts
from shared.alerts.event import Alert
from shared.alerts.present import is_true_now
from shared.alerts.rule import Rule
from shared.alerts.stored_rules import add_rule, remove_rule
from shared.stores.postgres import Postgres
from shared.wire.feed_status import STALE_US

NOW_US = 1_800_000_000_000_000
SECOND = 1_000_000


class World:
    """The rows of the tables, and the clock."""

    def __init__(self, url: str) -> None:
        self.postgres = Postgres(url)
        self.postgres.check()
        self.url = url
        self.now_us = NOW_US

    def add(self, text: str) -> str:
        with psycopg.connect(self.url) as connection:
            id_ = add_rule(connection, Rule.parse(text))
        assert id_ is not None
        return id_

    def quote(self, bid: str, ask: str, instrument: str = "A") -> None:
        self._run(
            "INSERT INTO latest_quotes (instrument, bid, ask, event_time_us, update_id,"
            " receive_time_us, source, sequence) VALUES (%s, %s, %s, 0, -1, 0, 's', 0)"
            " ON CONFLICT (instrument) DO UPDATE SET bid = excluded.bid, ask = excluded.ask",
            (instrument, bid, ask),
        )

    def feed(self, state: str, symbol: str = "BTCUSDT", age_us: int = 0) -> None:
        self._run(
            "INSERT INTO feeds (feed, symbol, instrument, source, state, last_message_us,"
            " last_trade_us, gaps_open, gaps_filled, reconnects, error, reported_us, id_time_us,"
            " trades_per_minute, history_done, history_parts)"
            " VALUES ('binance', %s, 'A', 's', %s, 0, 0, 0, 0, 0, '', %s, 0, 0, 0, 0)"
            " ON CONFLICT (feed, symbol) DO UPDATE SET state = excluded.state,"
            " reported_us = excluded.reported_us",
            (symbol, state, self.now_us - age_us),
        )

    def gap(self, state: str) -> None:
        self._run(
            "INSERT INTO gaps (feed, symbol, instrument, first_id, last_id, from_us, to_us, state,"
            " absent, opened_us, changed_us) VALUES ('binance', 'BTCUSDT', 'A', 1, 2, 0, 1, %s, 0,"
            " 0, 0) ON CONFLICT (feed, symbol, first_id, last_id) DO UPDATE SET"
            " state = excluded.state",
            (state,),
        )

    def tick(self, *, emitted: bool = True) -> list[Alert]:
        """Advance the clock by a second."""
        self.now_us += SECOND
        raised = raise_state_alerts(self.postgres, self.now_us)
        if emitted:
            note_emitted(self.postgres, raised)
        return raised

    def _run(self, statement: str, values: tuple[object, ...]) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement.encode(), values)


@pytest.fixture
def world(database: str) -> Iterator[World]:
    made = World(database)
    yield made
    made.postgres.close()


def test_a_wide_spread_alerts_each_time_it_becomes_wide(world: World) -> None:
    """A rule alerts each time the spread becomes wide, with the exact spread.

    Wide already, then narrow, wide, wide, narrow, wide: two alerts.
    """
    world.add("A spread > 0.5")
    world.quote("100", "101")
    found = [world.tick()]
    for ask in ("100.5", "100.500000000000000001", "102", "100.1", "101"):
        world.quote("100", ask)
        found.append(world.tick())
    assert [len(each) for each in found] == [0, 0, 1, 0, 0, 1]
    data = orjson.loads(found[2][0].body)["data"]
    assert data["rule"] == "A spread > 0.5"
    assert data["value"] == "0.500000000000000001"
    assert data["timestamp"] * 1000 == found[2][0].start_us


def test_a_rule_once_alerts_once(world: World) -> None:
    """A rule `once` alerts once, though it becomes true again."""
    world.add("A bid > 1 once")
    world.quote("1", "2")
    raised = world.tick()
    for bid in ("2", "1", "2"):
        world.quote(bid, "3")
        raised += world.tick()
    assert len(raised) == 1


def test_a_feed_that_stalls_and_goes_down(world: World) -> None:
    """Rules alert on a feed's stalled and down states, as GET /api/feeds shows them."""
    stalled, down = world.add("feed binance stalled"), world.add("feed binance down")
    assert world.tick() == []
    world.feed("live")
    world.feed("quiet", "ETHUSDT")
    assert world.tick() == []
    world.feed("stalled")
    assert [each.rule_id for each in world.tick()] == [stalled]
    world.feed("live")
    assert world.tick() == []
    world.now_us += STALE_US
    assert [each.rule_id for each in world.tick()] == [down]


def test_a_gap_alerts_by_instrument_and_by_feed(world: World) -> None:
    """A gap alerts by instrument and by feed when it opens, and the next one again."""
    ids = {world.add("A gap"), world.add("feed binance gap")}
    world.add("B gap")
    assert world.tick() == []
    for _ in range(2):
        world.gap("open")
        assert {each.rule_id for each in world.tick()} == ids
        world.gap("filled")
        assert world.tick() == []


def test_an_alert_that_was_not_taken_is_emitted_again_as_it_was(world: World) -> None:
    """An alert that the broker has not accepted is emitted again, unchanged."""
    world.add("A spread > 1")
    world.quote("1", "1.5")
    world.tick()
    world.quote("1", "3")
    first = world.tick(emitted=False)
    world.quote("1", "1.5")
    assert len(first) == 1
    assert world.tick() == first
    assert world.tick() == []


def test_a_removed_rule_is_silent(world: World) -> None:
    """A removed rule does not alert, nor does one about an instrument without a quote."""
    removed = world.add("A spread > 1")
    world.add("UNKNOWN spread > 1")
    world.quote("1", "1.5")
    world.tick()
    with psycopg.connect(world.url) as connection:
        assert remove_rule(connection, removed) == "A spread > 1"
        assert remove_rule(connection, removed) is None
    world.quote("1", "3")
    assert world.tick() == []


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("A spread > 1", True),
        ("A spread > 2", False),
        ("B spread > 1", None),
        ("A gap", True),
        ("feed binance stalled", True),
        ("feed kraken stalled", None),
        ("A close > 100", None),
    ],
)
def test_what_is_true_already_is_known(world: World, text: str, holds: bool | None) -> None:
    """A condition can be evaluated now, so that a new rule which already holds is marked."""
    world.quote("1", "3")
    world.gap("open")
    world.feed("stalled")
    with psycopg.connect(world.url) as connection:
        assert is_true_now(connection, Rule.parse(text), world.now_us) is holds
