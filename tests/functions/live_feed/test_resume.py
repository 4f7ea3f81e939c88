"""Resume of a disconnected client: the missed messages, or a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import nats
import pytest

from functions.live_feed import hub
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime import metrics
from tests.functions.live_feed.conftest import Room, last_is, mirrored, room, tick

Run = Callable[[Callable[[Room], Awaitable[None]]], None]


def test_a_resuming_client_gets_what_it_missed(run: Run) -> None:
    """With from_seq a client gets exactly the messages after it, and no snapshot."""

    async def test(room: Room) -> None:
        client = room.client()
        subscribed, _ = await client.ask(op="subscribe", channels=["ticks:*"])
        await room.publish(tick("A", "1"), tick("A", "2"))
        seen = (await client.read())[0]
        client.session.close()
        await room.publish(tick("A", "3"))
        again = room.client()
        frames = await again.ask(
            *(),
            op="subscribe",
            channels=["ticks:*"],
            from_seq=seen["seq"],
            stream=subscribed["stream"],
        )
        assert frames[0]["replayed"]
        assert [each["data"]["price"] for each in frames[1:]] == ["2", "3"]

    run(test)


def test_a_client_cut_off_while_resuming_resumes_again(run: Run) -> None:
    """A client that is cut off during a resume can repeat it from the seq of `subscribed`."""

    async def test(room: Room) -> None:
        subscribed, _ = await room.client().ask(op="subscribe", channels=["ticks:A"])
        await room.publish(tick("A", "1"), tick("A", "2"))
        place = {"from_seq": subscribed["seq"], "stream": subscribed["stream"]}
        for _ in range(2):  # the second time from the seq of the first `subscribed`
            told, *missed = await room.client().ask(op="subscribe", channels=["ticks:A"], **place)
            assert told["replayed"]
            assert [each["data"]["price"] for each in missed] == ["1", "2"]
            place["from_seq"] = told["seq"]

    run(test)


def test_messages_not_in_memory_are_read_from_the_stream(servers: dict[str, str]) -> None:
    """A replica with two messages in memory replays fifty from the stream, then updates."""

    async def test() -> None:
        async with room(servers) as first:
            await first.client().ask(op="subscribe", channels=["ticks:A"])
            await first.publish(*(tick("A", str(n)) for n in range(50)))
        async with room(servers, remembered=2, emptied=False) as second:
            await second.publish(tick("A", "50"))
            client = second.client(bound=1000)
            asked = asyncio.create_task(
                client.ask(op="subscribe", channels=["ticks:A"], from_seq=10)
            )
            await asyncio.sleep(0)
            await second.publish(tick("A", "51"))
            frames = await asked
            while frames[-1]["data"]["price"] != "51":
                frames += await client.read()
            assert frames[0]["replayed"]
            prices = [each["data"]["price"] for each in frames[1:]]
            assert prices == [str(n) for n in range(10, 52)]

    asyncio.run(test())


def test_a_late_message_that_was_missed_is_marked_late(servers: dict[str, str]) -> None:
    """A late trade that a client missed is no last price when it comes from the stream."""

    async def test() -> None:
        async with room(servers, remembered=1) as place:
            client = place.client()
            await client.ask(op="subscribe", channels=["ticks:A", "ticks:B"])
            await place.publish(tick("A", "5", time_us=5_000_000))
            (seen,) = await client.read()
            await place.publish(tick("A", "4", time_us=4_000_000))
            await place.publish(tick("B", "1"))
            again = {"from_seq": seen["seq"], "stream": place.hub.stream_name}
            told, late, _ = await place.client().ask(
                op="subscribe", channels=["ticks:A", "ticks:B"], **again
            )
            assert told["replayed"]
            assert (late["data"]["price"], late["late"]) == ("4", True)

    asyncio.run(test())


def test_a_late_message_is_marked_by_a_replica_that_started_after_it(
    servers: dict[str, str],
) -> None:
    """A replica that read only the republished newest trade marks an earlier late one as late.

    A trade that the client has not seen is no repetition of its republished self.
    """
    url = servers["NATS_URL"]

    async def test() -> None:
        async with room(servers) as first:
            await first.client().ask(op="subscribe", channels=["ticks:A"])
            before, newest = (tick("A", each, int(each) * 1_000_000) for each in ("3", "5"))
            await first.publish(before, newest)
            place = first.hub.seq
            await first.publish(tick("A", "4", time_us=4_000_000))
            await last_is(url, newest)
        async with room(servers, remembered=1, emptied=False) as second:
            for seq, expected in (
                (place, [("4", True)]),
                (place - 1, [("5", False), ("4", True)]),
                (place - 2, [("3", False), ("5", False), ("4", True)]),
            ):
                client = second.client()
                told, *missed = await client.ask(op="subscribe", channels=["ticks:A"], from_seq=seq)
                assert told["replayed"]
                assert [(each["data"]["price"], each["late"]) for each in missed] == expected

    asyncio.run(test())


def test_resuming_in_a_busy_market_does_not_overflow_the_queue(servers: dict[str, str]) -> None:
    """A resume during more updates than a queue holds gets all of them once."""

    async def test() -> None:
        async with room(servers) as first:
            await first.client().ask(op="subscribe", channels=["ticks:A"])
            await first.publish(*(tick("A", str(n)) for n in range(3_000)))
        async with room(servers, emptied=False) as second:
            client = second.client(bound=10)
            asked = asyncio.create_task(
                client.ask(op="subscribe", channels=["ticks:A"], from_seq=10)
            )
            count = 3_000
            while not asked.done():
                await second.publish(tick("A", str(count)))
                count += 1
            frames = await asked
            while frames[-1]["data"]["price"] != str(count - 1):
                frames += await client.read()
            assert count > 3_010
            assert frames[0]["replayed"]
            prices = [each["data"]["price"] for each in frames[1:]]
            assert prices == [str(n) for n in range(10, count)]

    asyncio.run(test())


def test_a_client_that_missed_too_much_gets_a_snapshot(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that missed too much gets a snapshot, and the replica serves the others."""
    monkeypatch.setattr(hub, "MOST_REPLAYED", 10)

    async def test() -> None:
        async with room(servers, remembered=2) as made:
            begun, _ = await made.client().ask(op="subscribe", channels=["ticks:A"])
            await made.publish(*(tick("A", str(n)) for n in range(11)))
            for seq, is_replayed in ((begun["seq"], False), (begun["seq"] + 1, True)):
                told, *_ = await made.client(bound=1000).ask(
                    op="subscribe", channels=["ticks:A"], from_seq=seq
                )
                assert told["replayed"] is is_replayed

    asyncio.run(test())


def test_a_client_that_was_away_too_long_gets_a_snapshot_that_says_so(
    servers: dict[str, str],
) -> None:
    """A from_seq of another stream or beyond its end gets a snapshot, marked as not replayed."""

    async def test() -> None:
        async with room(servers) as made:
            await made.publish(tick("A", "1"), tick("A", "2"))
            for place in ({"from_seq": 1, "stream": "another"}, {"from_seq": 10_000}):
                subscribed, snapshot = await made.client().ask(
                    op="subscribe", channels=["ticks:A"], **place
                )
                assert not subscribed["replayed"]
                assert snapshot["items"][0]["data"]["price"] == "2"

    asyncio.run(test())


def test_messages_that_cannot_be_read_are_skipped(servers: dict[str, str]) -> None:
    """A foreign subject, or a header that is not a number, stops neither a replica nor a replay."""
    skipped = metrics.LIVE_UNREADABLE

    async def test() -> None:
        foreign = await nats.connect(servers["NATS_URL"])
        try:
            async with room(servers) as first:
                client, before = first.client(), skipped._value.get()
                await client.ask(op="subscribe", channels=["ticks:A"])
                await first.publish(tick("A", "1"))
                stream = foreign.jetstream()
                await stream.publish("live.other.A", b"")
                await stream.publish("live.ticks.-.B", b"", headers={live.RECEIVED_HEADER: "x"})
                await first.stream.publish("last", [tick("A", "2")])
                prices: list[str] = []
                async with asyncio.timeout(60):
                    while "2" not in prices:
                        prices += [each["data"]["price"] for each in await client.read()]
                assert (prices, skipped._value.get() - before) == (["1", "2"], 2)
            await mirrored(servers["NATS_URL"], 4)
            async with room(servers, emptied=False) as second:
                frames = await second.client().ask(op="subscribe", channels=["ticks:A"], from_seq=1)
                assert [each["data"]["price"] for each in frames if "data" in each] == ["2"]
        finally:
            await foreign.close()

    asyncio.run(test())


def test_a_stream_that_somebody_deleted_is_made_again(servers: dict[str, str], run: Run) -> None:
    """After its stream was deleted by hand an event is refused once; watchers get the next."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:A"])
        await room.publish(tick("A", "1", 1), tick("A", "2", 2))
        nats_client = await nats.connect(servers["NATS_URL"])
        await nats_client.jetstream().delete_stream(live.STREAM)
        await nats_client.close()
        with pytest.raises(TransientError, match="NoStreamResponse"):
            await room.stream.publish("again", [tick("A", "3", 3)])
        last = tick("A", "4", 4)
        await room.stream.publish("again", [last])
        prices: list[str] = []
        while "4" not in prices:
            frames = await client.read()
            prices += [each["data"]["price"] for each in frames if "data" in each]
        await last_is(servers["NATS_URL"], last)

    run(test)
