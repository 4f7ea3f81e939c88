"""The history API over real stores, which are written as the pipeline writes them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import httpx
import pytest
import redis

from functions.candle_aggregate.rules import Rules
from functions.history_query.wiring import history_api
from functions.persist.feeds import FeedWriter
from functions.persist.patterns import PatternWriter
from functions.persist.quotes import QuoteWriter
from functions.persist.tick_writer import TickWriter
from functions.persist.writer import Writer
from shared.lake.reading.cold import NO_LAKE, Cold
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.realtime.readers import LiveState
from shared.stores.postgres import Postgres
from shared.wire.candle_columns import columns_of
from shared.wire.ticks import Ticks
from tests.databases import Databases
from tests.functions.candle_aggregate.replicas import Replica

LADDER = parse_ladder(DEFAULT_LADDER)
LATENESS_US = 2_000_000
SHARDS = 2
WAYS: Final[tuple[dict[str, str], ...]] = {"from": "0"}, {}
"""Pages from the oldest on, and from the newest back."""


class House:
    """Both stores, written by the functions' own code, and the API over them."""

    def __init__(
        self, postgres: Postgres, client: redis.Redis, cold: Cold = NO_LAKE, notify_url: str = ""
    ) -> None:
        self.postgres = postgres
        self.writer = Writer(postgres)
        self.tick_writer = TickWriter(postgres)
        self.feeds = FeedWriter(postgres)
        self.quotes = QuoteWriter(postgres)
        self.patterns = PatternWriter(postgres)
        rules = Rules(LADDER, LATENESS_US, 5_000_000, 1_000_000, unused_us=0, shards=SHARDS)
        self.replica = Replica(client, "a", rules, postgres=postgres)
        self.numbers = itertools.count()
        live = LiveState(client, SHARDS, LADDER)
        self.app = history_api(
            *(postgres, live, cold, LADDER, LATENESS_US, postgres.check), notify_url=notify_url
        )

    def take(self, ticks: Ticks) -> None:
        """Store ticks, aggregate them, and store closed candles."""
        event_id = f"e{next(self.numbers)}"
        self.tick_writer([(event_id, ticks)])
        self.replica.apply(**{event_id: ticks})
        self.writer.candles(columns_of(self.replica.emitted))
        self.replica.emitted.clear()

    def get(self, path: str, **parameters: str) -> httpx.Response:
        """Request a path of the API."""
        return self.ask(path, {}, **parameters)

    def ask(self, path: str, headers: dict[str, str], **parameters: str) -> httpx.Response:
        """Request a path of the API with headers."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.get(path, params=parameters or None, headers=headers)

        return asyncio.run(ask())

    def pages(self, path: str, **parameters: str) -> Iterator[list[dict[str, Any]]]:
        """The rows of each page, by its cursor."""
        while True:
            response = self.get(path, **parameters)
            assert response.status_code == 200, response.text
            page = response.json()
            rows = page[path.split("/")[2]]
            assert len(rows) <= int(parameters.get("limit", 10_000))
            yield rows
            if page["next"] is None:
                return
            assert rows, "a page with a next has at least one row"
            parameters["cursor"] = page["next"]

    def rows(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """The rows of every page, in the order of time."""
        parts = list(self.pages(path, **parameters))
        return [row for part in (parts if "from" in parameters else parts[::-1]) for row in part]


@contextmanager
def _house(url: str, client: redis.Redis) -> Iterator[House]:
    with closing(Postgres(url, size=4)) as postgres:
        house = House(postgres, client)
        yield house
        house.replica.engine.close()


@pytest.fixture
def house(database: str, valkey: redis.Redis) -> Iterator[House]:
    with _house(database, valkey) as house:
        yield house


@pytest.fixture(scope="module")
def readable(servers: dict[str, str], databases: Databases) -> Iterator[House]:
    """A house for tests of a module that only read."""
    url = servers["REDIS_URL"].rsplit("/", 1)[0] + "/2"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        with _house(databases.take(), client) as house:
            yield house
