"""The JetStream streams behind the live feed: any replica publishes, each follows.

`KANDLE_LIVE` retains some minutes of `live.>`; a message's position in it is the `seq` that clients
see, the same on every replica. `KANDLE_LIVE_LATEST` mirrors it and keeps the last message of each
subject under the same sequence numbers: a starting replica has the snapshot without asking anyone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
    StreamSource,
    StreamState,
)
from nats.js.errors import NoStreamResponseError

from functions.live_feed.fanout import Message
from functions.live_feed.protocols.frames import Update
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.realtime.leases import ALL
from shared.runtime import metrics
from shared.runtime.dead_letters import DeadLetter, DeadLetters
from shared.runtime.jetstream import connect, ensure_stream, translated
from shared.runtime.settings import FromEnvironment, integer

log = logging.getLogger(__name__)

_FETCHED_AT_ONCE: Final = 512
_IDLE_S: Final = 5.0
_RETRY_S: Final = 0.5
_CONNECTIONS: Final = "$SYS.REQ.ACCOUNT.PING.CONNZ"
_ANSWERS_S: Final = 0.5
_PAGE: Final = 1_024
"""Connections that a server lists at once."""


@dataclass(frozen=True, slots=True)
class Limits(FromEnvironment):
    """Retention and replicas of the stream, for clients that resume.

    `latest_age_s`: retention of a channel's newest message; 0: forever.
    """

    max_age_s: float = integer("LIVE_REPLAY_S", 600, 1, 86_400)
    max_bytes: int = integer("LIVE_REPLAY_BYTES", 256 * 1024 * 1024, 1024 * 1024, 2**40)
    latest_age_s: float = integer("KEEP_INSTRUMENTS_D", 90, 0, 100_000, times=86_400)
    replicas: int = integer("STREAM_REPLICAS", 1, 1, 5)


class LiveStream:
    """Both streams, over one lazily opened, persistent connection."""

    def __init__(self, url: str, limits: Limits) -> None:
        self._url = url
        self._limits = limits
        self._client: Client | None = None
        self._lock = asyncio.Lock()
        self.name = ""
        """Identifies a generation of the stream: positions of different ones do not compare."""

    async def publish(
        self, event_id: str, messages: Sequence[Message], *, first_seq: int | None = None
    ) -> None:
        """Publish an event's messages; return when the stream has them. Raises TransientError.

        Messages are numbered under the event's id, so that the stream deduplicates them. Only the
        last is acknowledged: a connection keeps its order, so the stream then has the others too,
        unless it reconnected in between. `first_seq`: a republished
        message's position at first.
        """
        *rest, last = messages
        with translated("NATS did not take the live messages"):
            stream, client = await self._stream(), self._client
            assert client is not None
            connected = client.stats["reconnects"]
            for n, each in enumerate(rest):
                headers = _headers(f"{event_id}/{n}", each, first_seq)
                await client.publish(live.subject_of(each.channel), each.payload, headers=headers)
            headers = _headers(f"{event_id}/{len(rest)}", last, first_seq)
            try:
                await stream.publish(live.subject_of(last.channel), last.payload, headers=headers)
            except NoStreamResponseError:
                log.warning("stream %s was deleted: it is made again", live.STREAM)
                await self._make(stream)
                raise
        if client.stats["reconnects"] != connected:
            raise TransientError("the connection to NATS broke while an event was published")

    async def watched(self) -> set[str]:
        """Return the subscriptions of direct NATS clients, by lease name.

        Raises TransientError.
        """
        with translated("NATS does not list its clients"):
            await self._stream()
            assert self._client is not None
            connections = await self._connections(self._client)
            return {name for each in connections for name in _watched(each)}

    async def _connections(self, client: Client) -> list[dict[str, Any]]:
        """Return the connections that have live subscriptions, of all servers, page by page."""
        inbox = client.new_inbox()
        responses = await client.subscribe(inbox)
        request: dict[str, Any] = {"subscriptions": True, "filter_subject": live.ALL}
        request |= {"limit": _PAGE, "offset": 0}
        connections: list[dict[str, Any]] = []
        has_more = True
        try:
            while has_more:
                has_more = False
                await client.publish(_CONNECTIONS, orjson.dumps(request), reply=inbox)
                with contextlib.suppress(TimeoutError, nats.errors.TimeoutError):
                    while True:  # one response per server
                        answer = orjson.loads((await responses.next_msg(_ANSWERS_S)).data)
                        page = (answer.get("data") or {}).get("connections") or ()
                        connections += page
                        has_more = has_more or len(page) == _PAGE
                request["offset"] += _PAGE
        finally:
            await responses.unsubscribe()
        return connections

    async def dead_letters(self, limit: int) -> tuple[int, Sequence[DeadLetter]]:
        """Return the number of dead letters, and the newest. Raises TransientError."""
        with translated():
            return await DeadLetters(await self._stream()).newest(limit)

    async def state(self) -> StreamState:
        """Return the stream's range; its name is known afterwards."""
        info = await (await self._stream()).stream_info(live.STREAM)
        self.name = self.name or _name(info)
        return info.state

    async def latest(self) -> AsyncIterator[Update]:
        """Yield the last message of every subject, without those that cannot be read."""
        stream = await self._stream()
        info = await stream.stream_info(live.LATEST_STREAM)
        if info.state.messages:
            async for batch in self._fetched(live.LATEST_STREAM, _consumer()):
                for each in batch:
                    if each.channel:
                        yield each

    async def between(self, after: int, last: int) -> AsyncIterator[list[Update]]:
        """Yield the messages in (after, last] that the stream still has.

        They are asked for as they are taken: a server that sent all of them at once would end the
        connection, which is everybody's, as too slow.
        """
        async for batch in self._fetched(live.STREAM, _consumer(after + 1)):
            if wanted := [each for each in batch if each.seq <= last]:
                yield wanted
            if batch[-1].seq >= last:
                return

    async def _fetched(self, name: str, config: ConsumerConfig) -> AsyncIterator[list[Update]]:
        """Yield what a consumer of a stream has now."""
        stream = await self._stream()
        consumer = await stream.pull_subscribe(live.ALL, stream=name, config=config)
        try:
            while True:
                try:
                    batch = await consumer.fetch(_FETCHED_AT_ONCE, timeout=_IDLE_S)
                except TimeoutError:
                    return
                yield [_update(message) for message in batch]
                if batch[-1].metadata.num_pending == 0:
                    return
        finally:
            await consumer.unsubscribe()

    async def follow(self, after: int) -> AsyncIterator[list[Update]]:
        """Yield all messages after position `after`, in order and forever, as they arrive.

        It survives outages and continues after the last message yielded. An empty list means that
        the stream was recreated and everything known of it is void.
        """
        while True:
            try:
                async for batch in self._followed(after):
                    yield batch
                    after = batch[-1].seq
            except (nats.errors.Error, OSError) as error:
                log.warning("the live stream is unavailable, retrying: %r", error)
                await asyncio.sleep(_RETRY_S)
            except _OtherStreamError:
                log.warning("the live stream was recreated")
                after = 0
                yield []

    async def _followed(self, after: int) -> AsyncIterator[list[Update]]:
        stream = await self._stream()
        await self._same(stream)
        arrived: list[Msg] = []
        arrival = asyncio.Event()

        async def take(message: Msg) -> None:
            arrived.append(message)
            arrival.set()

        consumer = await stream.subscribe(
            live.ALL, stream=live.STREAM, config=_consumer(after + 1), cb=take, manual_ack=True
        )
        last_seq = 0
        try:
            while True:
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await arrival.wait()
                except TimeoutError:
                    info = await consumer.consumer_info()  # raises if the server has forgotten it
                    sent = info.delivered.consumer_seq if info.delivered else 0
                    if sent != last_seq and not arrived:
                        raise _MissedError from None
                    await self._same(stream)
                    continue
                batch = arrived[:]
                arrived.clear()
                arrival.clear()
                sequences = [message.metadata.sequence.consumer for message in batch]
                if sequences != list(range(last_seq + 1, last_seq + 1 + len(batch))):
                    raise _MissedError
                last_seq = sequences[-1]
                yield [_update(message) for message in batch]
        finally:
            try:
                await consumer.unsubscribe()
            except nats.errors.Error as error:
                log.debug("consumer not unsubscribed: %r", error)

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _same(self, stream: JetStreamContext) -> None:
        name = _name(await stream.stream_info(live.STREAM))
        previous, self.name = self.name, name
        if previous and previous != name:
            raise _OtherStreamError

    async def _stream(self) -> JetStreamContext:
        async with self._lock:
            if self._client is None or self._client.is_closed:
                client = await connect(self._url)
                try:
                    await self._make(client.jetstream())
                except BaseException:
                    await client.close()
                    raise
                self._client = client
        return self._client.jetstream(timeout=5)

    async def _make(self, stream: JetStreamContext) -> None:
        log_stream = StreamConfig(
            name=live.STREAM,
            subjects=[live.ALL],
            retention=RetentionPolicy.LIMITS,
            max_age=self._limits.max_age_s,
            max_bytes=self._limits.max_bytes,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            duplicate_window=min(120.0, self._limits.max_age_s),
            num_replicas=self._limits.replicas,
        )
        latest = StreamConfig(
            name=live.LATEST_STREAM,
            mirror=StreamSource(name=live.STREAM),
            max_msgs_per_subject=1,
            max_age=self._limits.latest_age_s,
            max_bytes=self._limits.max_bytes,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            num_replicas=self._limits.replicas,
        )
        for config in (log_stream, latest):
            await ensure_stream(stream, config)


class _MissedError(nats.errors.Error):
    """Messages were lost: a disconnect, or a slow consumer."""


class _OtherStreamError(Exception):
    """The stream was recreated since the last look."""


def _name(info: StreamInfo) -> str:
    return "" if info.created is None else format(int(info.created.timestamp() * 1e6), "x")


def _consumer(start: int | None = None) -> ConsumerConfig:
    """Return a consumer from position `start`, or of the last message of each subject."""
    policy = DeliverPolicy.LAST_PER_SUBJECT if start is None else DeliverPolicy.BY_START_SEQUENCE
    return ConsumerConfig(
        deliver_policy=policy,
        opt_start_seq=start,
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
        inactive_threshold=60.0,
        num_replicas=1,
    )


def _watched(connection: dict[str, Any]) -> set[str]:
    """Return what a connection's subscriptions watch, by lease name."""
    channels = set()
    for subject in connection.get("subscriptions_list") or ():
        kind, *tokens = subject.removeprefix(live.PREFIX).split(".")
        if not subject.startswith(live.PREFIX) or kind == live.ALERTS:
            continue
        if ">" in (kind, *tokens) or kind == ALL:
            channels |= {ALL, f"{live.CANDLES}:{ALL}:{ALL}"}
            continue
        with contextlib.suppress(ValueError):
            channel = live.channel_of(subject)
            channels.add(ALL if ALL in tokens else live.instrument_of(channel) or ALL)
            if kind == live.CANDLES:
                channels.add(channel)
    return channels


def _headers(id_: str, message: Message, first_seq: int | None) -> dict[str, str]:
    headers = {"Nats-Msg-Id": id_, live.RECEIVED_HEADER: str(message.received_us)}
    if first_seq is not None:
        headers |= {live.REPUBLISHED_HEADER: "1", live.FIRST_SEQ_HEADER: str(first_seq)}
    return headers


def _update(message: Msg) -> Update:
    """Return the message; one that cannot be read has no channel, and keeps its position."""
    metadata, headers = message.metadata, message.headers or {}
    seq = metadata.sequence.stream
    try:
        channel = live.channel_of(message.subject)
        received_us = int(headers.get(live.RECEIVED_HEADER, 0))
        first_seq = int(headers.get(live.FIRST_SEQ_HEADER, 0))
    except ValueError as error:
        metrics.LIVE_UNREADABLE.inc()
        log.warning("message %d on %s is skipped: %s", seq, message.subject, error)
        return Update(seq, "", b"")
    return Update(
        seq,
        channel,
        message.data,
        received_us,
        int(metadata.timestamp.timestamp() * 1e6),
        again=live.REPUBLISHED_HEADER in headers,
        first_seq=first_seq,
    )
