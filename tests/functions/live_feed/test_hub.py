"""Subscription, snapshot, updates and resume over a real stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.live_feed.fanout import Message
from functions.live_feed.protocols.frames import Form, Update
from functions.live_feed.protocols.subscriber import SlowConsumerError
from functions.live_feed.stream import LiveStream
from shared.errors import TransientError
from shared.schema import live_pb2
from tests.functions.live_feed.conftest import Room, candle, forget, last_is, mirrored, room, tick
from tests.local.broker.processes import until

Run = Callable[[Callable[[Room], Awaitable[None]]], None]
MINUTE = 60_000_000


def test_a_subscriber_gets_the_present_then_every_change(run: Run) -> None:
    """A subscriber gets a snapshot, then updates of its symbol with growing seq."""

    async def test(room: Room) -> None:
        await room.publish(tick("A", "1"), tick("A", "2"), tick("B", "9"))
        client = room.client()
        subscribed, snapshot = await client.ask(op="subscribe", channels=["ticks:A"])
        assert subscribed["channels"] == ["ticks:A"]
        assert not subscribed["replayed"]
        assert [each["data"]["price"] for each in snapshot["items"]] == ["2"]
        await room.publish(tick("A", "3"), tick("B", "8"), tick("A", "4"))
        updates = await client.read()
        assert [each["data"]["price"] for each in updates] == ["3", "4"]
        assert snapshot["seq"] < updates[0]["seq"] < updates[1]["seq"]

    run(test)


def test_wildcards_bring_each_message_once(run: Run) -> None:
    """Overlapping subscriptions of a client give each message once."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["candles:1m:*", "candles:*:A", "candles:1m:A"])
        await room.publish(candle("A", 0, "1"), candle("B", 0, "2"))
        assert [each["channel"] for each in await client.read()] == ["candles:1m:A", "candles:1m:B"]

    run(test)


def test_every_part_of_a_snapshot_names_the_place_that_it_is_of(run: Run) -> None:
    """Each part of a snapshot has its seq, from which a client can resume.

    Also in protobuf, where each item is a frame.
    """

    async def test(room: Room) -> None:
        await room.publish(tick("B", "1"), tick("A", "2"), tick("B", "3"))
        client = room.client(Form.PROTOBUF).session
        await client.receive(b'{"op": "subscribe", "channels": ["ticks:*"]}')
        frames = [live_pb2.Frame.FromString(each) for each in await client.client.next()]
        assert [(each.type, each.seq, each.more) for each in frames] == [
            ("subscribed", room.hub.seq, False),
            ("snapshot", room.hub.seq, True),
            ("snapshot", room.hub.seq, False),
        ]

    run(test)


def test_a_new_replica_knows_the_present(servers: dict[str, str]) -> None:
    """A new replica has each channel's last message from the stream, with its seq."""

    async def test() -> None:
        async with room(servers) as first:
            await first.publish(tick("A", "1"), candle("A", 0, "5"), tick("A", "2"))
            _, known = await first.client().ask(op="subscribe", channels=["ticks:*", "candles:*:*"])
        async with room(servers, emptied=False) as second:
            _, learnt = await second.client().ask(
                op="subscribe", channels=["ticks:*", "candles:*:*"]
            )
        key = lambda item: item["channel"]  # noqa: E731
        assert sorted(learnt["items"], key=key) == sorted(known["items"], key=key)
        assert learnt["seq"] == known["seq"]

    asyncio.run(test())


def test_a_redelivered_event_is_shown_once(run: Run) -> None:
    """A redelivered event is shown once, since the stream stores it once."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:A"])
        await room.publish(tick("A", "1"), event_id="same")
        await room.stream.publish("same", [tick("A", "1")])
        await room.publish(tick("A", "2"))
        prices = [each["data"]["price"] for each in await client.read()]
        assert prices == ["1", "2"]

    run(test)


def test_republished_messages_are_not_shown(
    servers: dict[str, str],
) -> None:
    """A message that is republished for new replicas is shown neither live nor on resume.

    Also where a newer one came meanwhile.
    """

    async def test() -> None:
        async with room(servers, remembered=2) as made:
            client = made.client()
            subscribed, _ = await client.ask(op="subscribe", channels=["ticks:A"])
            second, third = tick("A", "2", 2), tick("A", "3", 3)
            await made.publish(tick("A", "1", 1), second, third)
            before = made.hub.seq
            await made.stream.publish("newest/1", [second], first_seq=2)
            await made.publish(tick("A", "4", 4))
            prices = [each["data"]["price"] for each in await client.read()]
            while prices[-1] != "4":
                prices += [each["data"]["price"] for each in await client.read()]
            assert prices == ["1", "2", "3", "4"]
            assert made.hub.seq >= before + 2
            back = {"from_seq": subscribed["seq"], "stream": subscribed["stream"]}
            frames = await made.client().ask(op="subscribe", channels=["ticks:A"], **back)
            assert [each["data"]["price"] for each in frames[1:]] == ["1", "2", "3", "4"]
        async with room(servers, emptied=False) as later:
            _, snapshot = await later.client().ask(op="subscribe", channels=["ticks:A"])
            assert [each["data"]["price"] for each in snapshot["items"]] == ["4"]

    asyncio.run(test())


def test_the_newest_is_republished_after_a_failure_too(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newest message that NATS did not take again is offered with the next messages."""

    async def test() -> None:
        async with room(servers) as made:
            publish, refused = made.hub._stream.publish, list[str]()

            async def refused_once(
                event_id: str, messages: Sequence[Message], *, first_seq: int | None = None
            ) -> None:
                if first_seq and not refused:
                    refused.append(event_id)
                    raise TransientError("NATS is away")
                await publish(event_id, messages, first_seq=first_seq)

            monkeypatch.setattr(made.hub._stream, "publish", refused_once)
            newest = tick("A", "2", 2)
            await made.publish(newest)
            await made.publish(tick("A", "1", 1))
            await until(lambda: bool(refused))
            await made.publish(tick("B", "1", 1))
            await last_is(servers["NATS_URL"], newest)

    asyncio.run(test())


def test_a_failed_republication_is_not_repeated_for_each_channel(
    servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While NATS takes no newest message, one channel is tried a batch, and none is forgotten."""

    async def test() -> None:
        async with room(servers) as made:
            publish, tried, away = made.hub._stream.publish, list[int](), True

            async def refused(
                event_id: str, messages: Sequence[Message], *, first_seq: int | None = None
            ) -> None:
                if first_seq and away:
                    tried.append(made.hub.seq)
                    raise TransientError("NATS is away")
                await publish(event_id, messages, first_seq=first_seq)

            monkeypatch.setattr(made.hub._stream, "publish", refused)
            newest = [tick(symbol, "2", 2) for symbol in "ABC"]
            await made.publish(*newest)
            await made.publish(*(tick(symbol, "1", 1) for symbol in "ABC"))
            await made.publish(tick("D", "1", 1))
            await until(lambda: made.hub.seq in tried)
            assert len(tried) == len(set(tried))
            away = False
            await made.publish(tick("D", "2", 2))
            for each in newest:
                await last_is(servers["NATS_URL"], each)

    asyncio.run(test())


def test_a_recreated_stream_is_noticed(servers: dict[str, str]) -> None:
    """A replica follows a recreated stream, whose seq restarts, and forgets the old one."""

    async def test() -> None:
        async with room(servers) as made:
            await made.publish(tick("A", "1"), tick("A", "2"))
            name = made.hub.stream_name
            await forget(servers["NATS_URL"])
            async with room(servers, emptied=False) as other:
                await other.publish(tick("A", "3"))
            await until(lambda: made.hub.stream_name != name and made.hub.seq == 1)
            _, snapshot = await made.client().ask(op="subscribe", channels=["ticks:A"])
            assert [each["data"]["price"] for each in snapshot["items"]] == ["3"]

    asyncio.run(test())


def test_a_failure_while_following_costs_watchers_no_message(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages between an unexpected failure and the restart reach watchers, once."""
    follow, failed = LiveStream.follow, asyncio.Event()

    async def failing(stream: LiveStream, after: int) -> AsyncIterator[list[Update]]:
        async for batch in follow(stream, after):
            yield batch
            if not failed.is_set():
                failed.set()
                raise ValueError("a defect")

    monkeypatch.setattr(LiveStream, "follow", failing)

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["ticks:A"])
        await room.publish(tick("A", "1", 1))
        await failed.wait()
        await room.publish(tick("A", "2", 2), tick("A", "3", 3))
        prices: list[str] = []
        while "3" not in prices:
            prices += [each["data"]["price"] for each in await client.read()]
        assert prices == ["1", "2", "3"]

    run(test)


def test_a_newer_candle_replaces_the_queued_one(run: Run) -> None:
    """A slow reader gets the newest state of each candle, and every closed one."""

    async def test(room: Room) -> None:
        client = room.client(bound=10)
        await client.ask(op="subscribe", channels=["candles:1m:A"])
        for close in range(30):
            await room.publish(candle("A", 0, str(close), close))
        await room.publish(candle("A", MINUTE, "99", 1), candle("A", 0, "30", 30))
        updates = await client.read()
        assert [(each["data"]["t"], each["data"]["c"]) for each in updates] == [
            (60_000, "99"),
            (0, "30"),
        ]
        assert updates[0]["seq"] < updates[1]["seq"]

    run(test)


def test_too_many_waiting_ticks_end_the_subscription(run: Run) -> None:
    """A client with too many waiting ticks is ended with a reason, and others are unaffected."""

    async def test(room: Room) -> None:
        slow, quick = room.client(bound=10), room.client(bound=100)
        for client in (slow, quick):
            await client.ask(op="subscribe", channels=["ticks:A"])
        await room.publish(*(tick("A", str(n)) for n in range(11)))
        with pytest.raises(SlowConsumerError):
            await slow.read()
        assert len(await quick.read()) == 11

    run(test)


def test_a_correction_of_an_old_candle_is_shown_but_is_not_the_present(run: Run) -> None:
    """A correction of an old candle is shown, and a snapshot still has the newest candle."""

    async def test(room: Room) -> None:
        client = room.client()
        await client.ask(op="subscribe", channels=["candles:1m:A"])
        await room.publish(candle("A", MINUTE, "7"), candle("A", 0, "5", 2))
        assert len(await client.read()) == 2
        _, snapshot = await room.client().ask(op="subscribe", channels=["candles:1m:A"])
        assert [each["data"]["t"] for each in snapshot["items"]] == [60_000]

    run(test)


def test_frames_in_protobuf_say_the_same(run: Run) -> None:
    """A client of the protobuf subprotocol gets the stored payload unchanged."""

    async def test(room: Room) -> None:
        client = room.client(Form.PROTOBUF).session
        await client.receive(b'{"op": "subscribe", "channels": ["ticks:A"]}')
        message = tick("A", "1.25")
        await client.client.next()
        await room.publish(message)
        (frame,) = [live_pb2.Frame.FromString(each) for each in await client.client.next()]
        assert (frame.type, frame.channel, frame.payload) == ("update", "ticks:A", message.payload)

    run(test)


def test_a_replica_that_has_just_started_replays_by_name(run: Run, servers: dict[str, str]) -> None:
    """A new replica knows its stream's name once ready, so that clients can resume."""

    async def test(first: Room) -> None:
        client = first.client()
        subscribed, _ = await client.ask(op="subscribe", channels=["ticks:A"])
        await first.publish(tick("A", "1"), tick("A", "2"))
        await mirrored(servers["NATS_URL"], first.hub.seq)
        for _ in range(3):
            async with room(servers, emptied=False) as fresh:
                told, *missed = await fresh.client().ask(
                    op="subscribe",
                    channels=["ticks:A"],
                    from_seq=subscribed["seq"],
                    stream=subscribed["stream"],
                )
                assert told["replayed"]
                assert [each["data"]["price"] for each in missed] == ["1", "2"]

    run(test)


@given(
    states=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=12, unique=True
    ),
    times=st.permutations(range(5)),
    read_between=st.integers(0, 12),
)
@settings(max_examples=15, deadline=None)
def test_any_order_of_arrival_ends_at_the_newest(
    servers: dict[str, str],
    states: list[tuple[int, int]],
    times: list[int],
    read_between: int,
) -> None:
    """Any order of arrival ends with the highest revisions and latest trade, for all watchers.

    Old and new watchers and a replica that starts then. Candles come as (minute, revision) in any
    order, trades in any order of their times.
    """
    newest = max(states)
    highest = {start: max(r for s, r in states if s == start) for start, _ in states}

    def folded(items: list[dict[str, Any]]) -> dict[int, int]:
        seen: dict[int, int] = {}
        for each in items:
            start, revision = each["data"]["t"] // 60_000, each["data"]["revision"]
            seen[start] = max(seen.get(start, 0), revision)
        return seen

    async def present(room: Room) -> tuple[tuple[int, int], str]:
        _, snapshot = await room.client().ask(op="subscribe", channels=["candles:1m:A", "ticks:A"])
        data = {each["channel"]: each["data"] for each in snapshot["items"]}
        shown = data["candles:1m:A"]
        return (shown["t"] // 60_000, shown["revision"]), data["ticks:A"]["price"]

    async def test() -> None:
        messages = [candle("A", start * MINUTE, "1", revision) for start, revision in states]
        trades = [tick("A", str(time), time) for time in times]
        async with room(servers) as first:
            old = first.client()
            await old.ask(op="subscribe", channels=["candles:1m:A", "ticks:*"])
            await first.publish(*messages[:read_between], *trades)
            updates = await old.read()
            await first.publish(*messages[read_between:], tick("END", "0"))
            while updates[-1]["channel"] != "ticks:END":
                updates += await old.read()
            assert folded([u for u in updates if u["channel"] == "candles:1m:A"]) == highest
            shown = [u for u in updates if u["channel"] == "ticks:A" and not u["late"]]
            assert shown[-1]["data"]["price"] == "4"
            assert await present(first) == (newest, "4")
            await last_is(servers["NATS_URL"], messages[states.index(newest)])
            await last_is(servers["NATS_URL"], trades[times.index(4)])
        async with room(servers, emptied=False) as fresh:
            assert await present(fresh) == (newest, "4")

    asyncio.run(test())
