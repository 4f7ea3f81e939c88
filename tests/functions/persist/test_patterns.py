"""Patterns and alerts as rows: the highest revision wins in any order."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest

from functions.persist.busts import BustWriter
from functions.persist.feeds import FeedWriter
from functions.persist.group_commit import grouped
from functions.persist.handler import Persist
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.adapter.event import Event, OutgoingEvent
from shared.alerts.event import as_event_json
from shared.alerts.rule import Rule
from shared.errors import PermanentError
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.patterns import Pattern, encode_patterns, pattern_id

PRICE = Decimal("1234567890.123456789012345678")
FOUND = Pattern(
    pattern_id("A", "1m", "hammer", 60_000_000),
    *("A", "1m", "hammer", "candlestick", 1, 0.9, "high", PRICE, 60_000_000, 120_000_000),
    *(PRICE, PRICE, PRICE, PRICE, Decimal("0.5")),
    revision=5,
)


def deliver(persist: Persist, type_: str, body: bytes, id_: str = "x") -> None:
    out = OutgoingEvent.packed(id_, type_, body)
    persist(Event(id_, type_, "/test", {"id": id_, **out.extensions}, out.body))


@pytest.fixture
def persist(postgres: Postgres) -> Persist:
    return Persist(
        grouped(TickWriter(postgres), 0),
        Writer(postgres),
        PatternWriter(postgres),
        FeedWriter(postgres),
        QuoteWriter(postgres),
        BustWriter(postgres),
    )


def test_the_highest_revision_of_a_pattern_counts(persist: Persist, database: str) -> None:
    """A pattern found, retracted and found again is its highest revision, in every order."""
    told = [FOUND, replace(FOUND, retracted=True, revision=6), replace(FOUND, revision=9)]
    for n, order in enumerate(itertools.permutations([*told, told[0]])):
        for pattern in order:
            one = replace(pattern, id=f"{n}")
            deliver(persist, events.PATTERNS, encode_patterns([one]))
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT DISTINCT retracted, revision, trigger_price, volume FROM patterns"
        ).fetchall()
    assert rows == [(False, 9, PRICE, Decimal("0.5"))]


def test_an_alert_is_stored_once(persist: Persist, database: str) -> None:
    """An alert is stored once by its rule and candle."""
    rule = Rule.parse("A close > 3")
    body = as_event_json("r1", rule, 60_000_000, 120_000_000, value="4").encode()
    deliver(persist, events.ALERTS, body, "one")
    deliver(persist, events.ALERTS, body, "two")
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT rule_id, instrument, timeframe, start_us, body->'data'->>'value' FROM alerts"
        ).fetchall()
    assert rows == [("r1", "A", "1m", 60_000_000, "4")]


@pytest.mark.parametrize("type_", [events.PATTERNS, events.ALERTS])
def test_an_unreadable_event_is_a_permanent_error(persist: Persist, type_: str) -> None:
    """An unreadable event is a permanent error."""
    with pytest.raises(PermanentError, match=r"no PatternBatch|not an alert"):
        deliver(persist, type_, b"\xff\xff")
