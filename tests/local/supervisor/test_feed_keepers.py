"""Bridges follow the list of feeds while the platform runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from local.supervisor.component import Component, Kind
from local.supervisor.feed_list import feeds_path, parse_feeds, read_feeds, write_feeds
from local.supervisor.feed_processes import FeedKeepers
from local.supervisor.leftovers import ProcessRecord
from local.supervisor.restarts import Keeper
from shared.sources.feed_choice import FeedChoice
from tests.local.broker.processes import until

SLEEPS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


@pytest.mark.processes
@pytest.mark.parametrize("gone", ["removed", "no list"])
def test_a_list_that_is_gone_ends_no_bridge(tmp_path: Path, gone: str) -> None:
    """A missing list is logged once and ends no bridge; when it is back, new feeds start."""
    notices: list[str] = []
    keepers: list[Keeper] = []

    def bridges_of(feed: FeedChoice) -> list[Component]:
        log = tmp_path / f"{feed.process}.log"

        async def ready() -> bool:
            return log.exists() and "up" in log.read_text()

        name = f"exchange-bridge-{feed.process}"
        return [
            Component(name, Kind.SOURCE, SLEEPS, "", log, ready=ready, environment=feed.environment)
        ]

    def keep(component: Component) -> Keeper:
        return Keeper(component, ProcessRecord(tmp_path / "processes.json"), notices.append)

    async def follow() -> None:
        both = parse_feeds(["binance:BTCUSDT", "kraken:BTC/USD"])
        write_feeds(tmp_path, both)
        feeds = FeedKeepers(tmp_path, {}, keepers, bridges_of, keep, lambda: None, notices.append)
        task = asyncio.create_task(feeds.follow())
        await until(lambda: [n.endswith("is started") for n in notices] == [True, True])
        before = [keeper.pid for keeper in keepers]
        if gone == "removed":
            feeds_path(tmp_path).unlink()
            await until(lambda: feeds_path(tmp_path).exists())
            assert read_feeds(tmp_path) == both
        else:
            feeds_path(tmp_path).write_text("{")
            await until(lambda: "the feeds stay as they are" in notices[-1])
        await until(lambda: len(notices) == 3)
        write_feeds(tmp_path, (*both, *parse_feeds(["coinbase:BTC-USD"])))
        await until(lambda: notices[-1] == "coinbase:BTC-USD is started")
        assert [keeper.pid for keeper in keepers][:2] == before
        assert len(notices) == 4
        task.cancel()
        for keeper in keepers:
            await keeper.stop(1)

    asyncio.run(follow())
