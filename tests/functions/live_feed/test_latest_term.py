"""The newest message of a channel expires by retention, in the stream and in a replica."""

from __future__ import annotations

import asyncio

import nats
import pytest

from functions.live_feed import hub
from functions.live_feed.newest import Newest
from functions.live_feed.protocols.frames import Update
from shared.realtime import channels as live
from tests.functions.live_feed.conftest import last_is, room, tick

DAY_US = 86_400_000_000
ALL = ["ticks:*"]


def test_a_year_leaves_the_channels_of_the_last_days() -> None:
    """After a year of one channel a day only those within retention and without a time stay."""
    newest = Newest()
    for day in range(1, 366):
        payload = tick(f"S{day}", "1").payload
        newest.keep(Update(day, f"ticks:S{day}", payload, published_us=day * DAY_US))
        newest.expire((day - 90) * DAY_US)
    newest.keep(Update(0, "ticks:S", tick("S", "1").payload))
    newest.expire((365 - 90) * DAY_US)
    assert [each.channel for each in newest] == [
        *(f"ticks:S{day}" for day in range(275, 366)),
        "ticks:S",
    ]


def test_a_replica_forgets_what_is_past_its_term(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica drops a message past its retention while another symbol goes on."""
    monkeypatch.setattr(hub, "_EXPIRE_EACH_S", 0.0)

    async def test() -> None:
        async with room(servers, latest_age_s=1.0) as made:
            await made.publish(tick("A", "1"))
            async with asyncio.timeout(60):
                n = 0
                while not n or "ticks:A" in {each.channel for each in made.hub.present(ALL)}:
                    n += 1
                    await made.publish(tick("B", str(n)))
                    await asyncio.sleep(0.05)
            assert [each.channel for each in made.hub.present(ALL)] == ["ticks:B"]

    asyncio.run(test())


def test_a_stream_that_was_made_without_a_term_gets_it(servers: dict[str, str]) -> None:
    """An existing stream without retention gets it."""

    async def test() -> None:
        async with room(servers) as first:
            message = tick("A", "1")
            await first.publish(message)
            await last_is(servers["NATS_URL"], message)
        async with room(servers, emptied=False, latest_age_s=1.0):
            client = await nats.connect(servers["NATS_URL"])
            async with asyncio.timeout(60):
                while True:
                    info = await client.jetstream().stream_info(live.LATEST_STREAM)
                    if not info.state.messages:
                        break
                    await asyncio.sleep(0.05)
            await client.close()
            assert info.config.max_age == 1.0

    asyncio.run(test())
