"""The stream of dead letters: retention, and the newest letters."""

from __future__ import annotations

import asyncio

import nats

from shared.runtime.dead_letters import STREAM, DeadLetters


def test_retention_applies_to_an_existing_stream(servers: dict[str, str]) -> None:
    """Retention also applies to letters of a stream that had none; without it letters stay."""

    async def test() -> None:
        client = await nats.connect(servers["NATS_URL"])
        letters = DeadLetters(client.jetstream())
        await letters.ensure()
        await client.jetstream().purge_stream(STREAM)
        await letters.append({"id": "1", "type": "a"}, b"body")
        await letters.ensure()
        assert await letters.count() == 1
        await letters.append({"id": "2", "type": "a"}, b"body")
        await letters.append({"id": "3", "type": "a"}, b"body")
        count, newest = await letters.newest(10)
        assert (count, [each.attributes["id"] for each in newest]) == (3, ["3", "2", "1"])
        await letters.delete(newest[1].sequence)
        count, newest = await letters.newest(1)
        assert (count, [each.attributes["id"] for each in newest]) == (2, ["3"])
        await letters.ensure(1.0)
        async with asyncio.timeout(60):
            while True:
                if not await letters.count():
                    break
                await asyncio.sleep(0.05)
        await letters.ensure()
        await letters.append({"id": "4", "type": "a"}, b"body")
        info = await client.jetstream().stream_info(STREAM)
        assert (info.state.messages, info.config.max_age) == (1, 0)
        await client.jetstream().delete_stream(STREAM)
        await client.close()

    asyncio.run(test())
