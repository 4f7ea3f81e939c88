"""Dead letters replayed after days complete the stages without doubling anything.

The events are made by normalize's own code, as of three days ago, and each stage gets them or a
letter instead of them, as if it had failed for the half hour that a trigger tries. Time passes by
moving back when Postgres took an event and by ending its marker in Redis.
"""

from __future__ import annotations

import base64
import json
import time
from decimal import Decimal
from pathlib import Path

import psycopg
import redis

from functions.normalize.handler import Normalize
from local.instance import Instance
from shared.adapter.event import Event, OutgoingEvent
from shared.inputs.clock import ClockRule
from shared.market.shards import DEFAULT_SHARDS, shard_of
from shared.realtime.keys import Keys
from shared.sources.batcher import Batch
from shared.wire import events
from shared.wire.raw_batch import FORMAT_CSV
from tests.e2e.client import candles, eventually, fresh_symbol, rows, web
from tests.platform import kandle

DAY_MS = 86_400_000
TICKS, MINUTES = 120, 3


def three_days_ago(symbol: str) -> tuple[OutgoingEvent, int]:
    """An event of ticks without trade ids, 1.5 s apart, and its receive time (ms)."""
    start_ms = (time.time_ns() // 1_000_000 - 3 * DAY_MS) // 3_600_000 * 3_600_000
    lines = "\n".join(f"{symbol},{100 + n},2,{start_ms + 1_500 * n}" for n in range(TICKS)).encode()
    received_us = (start_ms + 1_500 * TICKS) * 1_000
    batch = Batch("", FORMAT_CSV, "days-ago", 0, lines, [len(lines)], [received_us]).raw().encode()
    raw = Event(f"days-ago-{symbol}", events.RAW, "/days-ago", {}, batch)
    (event,) = Normalize(ClockRule(60_000_000))(raw).emit
    return event, start_ms


def expected(start_ms: int) -> list[tuple[int, Decimal, Decimal, Decimal, int]]:
    each = TICKS // MINUTES
    return [
        (
            start_ms + 60_000 * minute,
            Decimal(100 + each * minute),
            Decimal(99 + each * (minute + 1)),
            Decimal(2 * each),
            each,
        )
        for minute in range(MINUTES)
    ]


class Stages:
    """The functions of a running Kandle, called as the broker does."""

    def __init__(self, pipeline: dict[str, str]) -> None:
        self.pipeline = pipeline
        self._urls = Instance.load(Path(pipeline["DATA_DIR"])).addresses

    def post(self, stage: str, event: OutgoingEvent, **more: str) -> None:
        headers = event.headers("/kandle/normalize", more)
        url = self._urls[f"{stage}.kandle.svc.cluster.local"]
        answer = web.post(url, content=event.body, headers=headers, timeout=60)
        assert answer.status_code == 204, answer.text

    def give_up(self, stage: str, event: OutgoingEvent) -> None:
        """Store the event as a dead letter, as the dispatcher does."""
        told = {
            events.DEAD_LETTER_DESTINATION: f"http://{stage}.kandle.svc.cluster.local",
            events.DEAD_LETTER_CODE: "500",
            events.DEAD_LETTER_DATA: base64.b64encode(b"a defect that is mended by now").decode(),
        }
        self.post("dead-letter", event, **told)

    def letters(self) -> dict[str, str]:
        """Numbers of dead letters by their event's id."""
        said = kandle("dlq", "list", "--json", "--data-dir", self.pipeline["DATA_DIR"]).stdout
        found = [json.loads(line) for line in said.splitlines()]
        return {each["attributes"]["id"]: str(each["sequence"]) for each in found}

    def replay(self, *numbers: str) -> None:
        kandle("dlq", "replay", *numbers, "--data-dir", self.pipeline["DATA_DIR"])

    def candles(self, symbol: str) -> list[tuple[int, Decimal, Decimal, Decimal, int]]:
        return [
            (c["t"], Decimal(c["o"]), Decimal(c["c"]), Decimal(c["v"]), c["n"])
            for c in candles(self.pipeline["API_URL"], symbol)
        ]

    def turn_back(self, event_id: str, interval: str) -> None:
        """Move the time at which Postgres took the event into the past."""
        with psycopg.connect(self.pipeline["DATABASE_URL"]) as connection:
            connection.execute(
                "UPDATE unaggregated SET stored_at = stored_at - %s::interval WHERE event_id = %s",
                (interval, event_id),
            )

    def is_recorded(self, event_id: str) -> bool:
        """Whether Postgres records the event as aggregated, and its repairs as done."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM applied_events"
            " WHERE event_id = %s)"
            " AND NOT EXISTS (SELECT 1 FROM unaggregated WHERE event_id = %s)"
            " AND NOT EXISTS (SELECT 1 FROM repairs WHERE event_id = %s)"
        )
        return bool(rows(self.pipeline["DATABASE_URL"], query, *[event_id] * 3)[0][0])

    def rows(self, symbol: str) -> int:
        query = "SELECT count(*) FROM ticks_raw WHERE instrument = %s"
        return int(rows(self.pipeline["DATABASE_URL"], query, symbol)[0][0])


def test_letters_replayed_after_days_complete_their_stage_and_double_nothing(
    pipeline: dict[str, str],
) -> None:
    """Dead letters replayed after days complete persist and candle-aggregate without doubles."""
    stages = Stages(pipeline)
    unstored, unapplied = fresh_symbol("UNSTORED"), fresh_symbol("UNAPPLIED")
    first, start_ms = three_days_ago(unstored)
    second, _ = three_days_ago(unapplied)

    stages.post("candle-aggregate", first)
    stages.give_up("persist", first)
    stages.post("persist", second)
    stages.give_up("candle-aggregate", second)
    letters = stages.letters()
    assert (stages.rows(unstored), stages.rows(unapplied)) == (0, TICKS)
    stages.turn_back(second.id, "3 days")

    # days later persist gets its letter
    stages.replay(letters[first.id])
    stages.turn_back(first.id, "40 seconds")
    # the clock applies the stored event and finishes the rest
    for event in (first, second):
        assert eventually(lambda id_=event.id: stages.is_recorded(id_), bool, 60)  # type: ignore[misc]
    # the second event's letter is replayed after its marker ended
    keys = Keys(shard_of(unapplied, DEFAULT_SHARDS))
    with redis.Redis.from_url(pipeline["REDIS_URL"]) as client:
        assert eventually(lambda: client.zrem(keys.recorded, second.id), bool, 60)
    stages.replay(letters[second.id])

    assert not {first.id, second.id} & stages.letters().keys()
    # and once more
    stages.post("persist", first)
    stages.post("candle-aggregate", second)
    for symbol in (unstored, unapplied):
        found = eventually(
            lambda symbol=symbol: stages.candles(symbol),  # type: ignore[misc]
            lambda found: found == expected(start_ms),
        )
        assert found == expected(start_ms)
        assert stages.rows(symbol) == TICKS
