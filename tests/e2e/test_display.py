"""A hung live-feed under load does not block ingestion."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import nats
import redis

from tests.e2e.client import candles, eventually, fresh_symbol, pid_of, web
from tests.e2e.test_live import post, until, watching

MINUTE_MS = 60_000
SHARDS = 16


@contextmanager
def hung(pipeline: dict[str, str], name: str) -> Iterator[None]:
    """The component accepts connections and does not answer."""
    pid = pid_of(pipeline, name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def waiting(pipeline: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Messages and bytes of the Brokers' streams, by Broker."""

    async def ask() -> dict[str, tuple[int, int]]:
        client = await nats.connect(pipeline["NATS_URL"])
        found = {}
        for each in await client.jetstream().streams_info():
            name = str(each.config.name)
            if name.startswith("KN_KANDLE__"):
                found[name.split("__")[1].split("_")[0].lower()] = (
                    each.state.messages,
                    each.state.bytes,
                )
        await client.close()
        return found

    return asyncio.run(ask())


def fill_display(pipeline: dict[str, str], size: int) -> None:
    """Post as much as the display stream may hold, of a type without a Trigger."""
    url = httpx.URL(pipeline["K_SINK"]).copy_with(path="/kandle/display")
    about = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "test.filler"}
    about["content-type"] = "text/plain"
    body = b"x" * 900_000
    with httpx.Client() as client:
        for n in range(-(-size // len(body))):
            headers = {
                **about,
                "ce-id": f"filler-{time.time_ns()}-{n}",
                "content-type": "text/plain",
            }
            assert client.post(url, content=body, headers=headers).status_code == 202


def test_a_hung_live_feed_stops_nothing(pipeline: dict[str, str]) -> None:
    """With live-feed hung and display full all ticks are stored."""
    symbol, start_ms = fresh_symbol("HUNG"), 1_700_000_040_000
    store = redis.Redis.from_url(pipeline["REDIS_URL"])
    with hung(pipeline, "live-feed"):
        until_ms = time.time_ns() // 1_000_000 + 600_000
        for shard in range(SHARDS):
            store.hset(f"{{{shard}}}:watched", "*", until_ms)
        for n in range(150):  # each is an event; post() asserts that it is accepted
            lines = [f"{symbol},{n},1,{start_ms + n * 1_000},,{n * 50 + m}" for m in range(50)]
            post(pipeline, *lines)

        def stored() -> list[dict[str, Any]]:
            return [each for each in candles(pipeline["API_URL"], symbol) if each["closed"]]

        found = eventually(stored, lambda some: sum(each["n"] for each in some) >= 120 * 50)
        assert [each["n"] for each in found[:2]] == [3_000, 3_000]
        drained = eventually(
            lambda: waiting(pipeline),
            lambda all_: not any(all_[name][0] for name in ("ingest", "ticks")),
        )
        assert drained["market"][0] < 10  # clock events in flight
        assert drained["display"][0] > 0
        held = [drained["display"][1]]
        for _ in range(8):  # expired events are gone, so less may be left at the end
            fill_display(pipeline, 9 * 1024 * 1024)
            held.append(waiting(pipeline)["display"][1])
        assert 1024 * 1024 < max(held) <= 64 * 1024 * 1024
        post(pipeline, f"{symbol},1,1,{start_ms + 190_000},,stored")
        url = f"{pipeline['API_URL']}/api/ticks/{symbol}"
        newest = eventually(
            lambda: web.get(url, params={"limit": "1"}).json()["ticks"],
            lambda some: some[0]["id"] == "stored",
        )
        assert newest[0]["id"] == "stored"
    for shard in range(SHARDS):
        store.delete(f"{{{shard}}}:watched", f"{{{shard}}}:watched_since")
    store.close()
    with watching(pipeline, f"ticks:{symbol}") as socket:
        until(socket, lambda frame: frame["type"] == "snapshot")
        post(pipeline, f"{symbol},777,1,{start_ms + 200_000}")
        until(socket, lambda f: f.get("data", {}).get("price") == "777")
