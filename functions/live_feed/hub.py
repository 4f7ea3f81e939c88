"""Hub: follow the live stream and dispatch its messages to this replica's subscribers.

One task follows the stream. It keeps the newest message of each channel for snapshots and the
recent messages of all for clients that resume, and offers each message to the subscribers of its
channel. Newest means latest in event time, not last received. A client is subscribed, sent its
position and given its snapshot between two messages, so that nothing is lost or duplicated.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from functions.live_feed.ages import Ages
from functions.live_feed.fanout import Message
from functions.live_feed.newest import Newest
from functions.live_feed.protocols.frames import Update
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.stream import LiveStream
from shared.errors import TransientError
from shared.realtime import channels as live
from shared.runtime import metrics
from shared.runtime.tasks import end
from shared.schema import candles_pb2
from shared.wire.candle import Candle

_PATIENCE_S: Final = 5.0
_REFUSED_S: Final = 1.0
"""Patience while NATS refuses: a probe soon learns why."""
_EXPIRE_EACH_S: Final = 60.0
MOST_REPLAYED: Final = 100_000
"""Messages that are read again for a client that comes back: a few seconds of work."""

Derive = Callable[[Candle, int], Candle | None]
"""Maps a state of a base candle, and the time in microseconds, to a longer one."""

log = logging.getLogger(__name__)


class NotKeptError(Exception):
    """The messages that a client has missed are not to be had: it gets the present."""


class Hub:
    """The clients of one replica. Used by one event loop."""

    def __init__(self, stream: LiveStream, remembered: int, latest_age_s: float = 0.0) -> None:
        self._stream = stream
        self._replica = secrets.token_hex(4)
        self._latest_age_s = latest_age_s
        self._expires_s = 0.0
        self._recent: deque[Update] = deque(maxlen=remembered)
        self._newest = Newest()
        self._ages = Ages()
        metrics.LIVE_AGE.labels("trades").set_function(self._ages.trades_s)
        metrics.LIVE_AGE.labels("candles").set_function(self._ages.candles_s)
        self._clients: dict[str, set[Subscriber]] = {}
        self._expected: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._refusal = ""
        self._caught_up = asyncio.Event()
        self._replaying = asyncio.Lock()
        self._catch_up_to = 0
        self._derived: dict[str, dict[str, Derive]] = {}
        self.derived: dict[str, int] = {}
        """Channels that are derived here, each with the position from which on."""
        self.seq = 0

    @property
    def wanted(self) -> set[str]:
        """Every channel with a subscriber, or about to have one."""
        return {*self._clients, *(+self._expected)}

    @property
    def stream_name(self) -> str:
        """Name of the stream in which `seq` counts, and of this replica."""
        return f"{self._stream.name}.{self._replica}"

    def counts_in(self, stream_name: str) -> bool:
        """Tell whether a replica of this name counts in the same stream; an empty one may."""
        return stream_name.partition(".")[0] in ("", self._stream.name)

    async def ready(self) -> None:
        """Follow the stream; return when the snapshot is loaded. Raises TransientError."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(), name="live-feed hub")
        try:
            patience_s = _REFUSED_S if self._refusal else _PATIENCE_S
            await asyncio.wait_for(self._caught_up.wait(), patience_s)
        except TimeoutError:
            because = f": {self._refusal}" if self._refusal else ""
            raise TransientError(f"the live stream in NATS is not reached yet{because}") from None

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            await end(self._task)
        await self._stream.close()

    @contextmanager
    def expecting(self, channels: Iterable[str]) -> Iterator[None]:
        """Count the channels as wanted during a subscription."""
        expected = list(channels)
        self._expected.update(expected)
        try:
            yield
        finally:
            self._expected.subtract(expected)

    def subscribe(self, client: Subscriber, channels: Iterable[str]) -> None:
        """Send the client every message of the channels from now on."""
        for each in channels:
            client.wanted.add(each)
            self._clients.setdefault(each, set()).add(client)

    def unsubscribe(self, client: Subscriber, channels: Iterable[str]) -> None:
        """Send the client no more messages of the channels."""
        for each in channels:
            client.wanted.discard(each)
            wanting = self._clients.get(each)
            if wanting is not None:
                wanting.discard(client)
                if not wanting:
                    del self._clients[each]

    def take_history(self, message: Message, leased: int | None = None) -> None:
        """Take a message from the history; it is shown if it is the newest of its channel.

        `leased`: the position since which the channel is watched. A message from the stream after
        it takes precedence: newer ones also arrive by the stream, once.
        """
        channel = message.channel
        update = Update(self.seq, channel, message.payload, message.received_us)
        if leased is not None and self._newest.was_published(channel, leased):
            return
        if self._newest.is_passed_by(update):
            self._dispatch(update)

    def derive(self, base: str, channel: str, derive: Derive) -> None:
        """Derive a channel from each state of another one, for what no message carries."""
        self._derived.setdefault(base, {})[channel] = derive
        self.derived.setdefault(channel, self.seq)

    def underive(self, channel: str) -> None:
        """Stop deriving the channel, and forget its newest message: NATS must not get it."""
        self._newest.remove(channel)
        self.derived.pop(channel, None)
        for derived in self._derived.values():
            derived.pop(channel, None)
        self._derived = {base: derived for base, derived in self._derived.items() if derived}

    def publish_candle(self, channel: str, candle: Candle, received_us: int = 0) -> None:
        """Send a derived candle to its subscribers, and derive further channels from it."""
        payload = candle.to_message().SerializeToString()
        published_us = time.time_ns() // 1000
        self._dispatch(Update(self.seq, channel, payload, received_us, published_us))
        self._derive(channel, candle, published_us, received_us)

    def publish(self, channel: str, payload: bytes, *, late: bool = False) -> None:
        """Send a derived message to the channel's subscribers."""
        published_us = time.time_ns() // 1000
        self._dispatch(Update(self.seq, channel, payload, 0, published_us, late))

    def present(self, channels: Iterable[str]) -> list[Update]:
        """Return the newest message of each requested channel."""
        requested = set(channels)
        return [
            update
            for update in self._newest
            if not requested.isdisjoint(live.patterns_matching(update.channel))
        ]

    def remembered(self, after: int, channels: Collection[str]) -> list[Update] | None:
        """Return the messages after position `after`; None if memory does not go back that far.

        Of derived channels also those at `after`: several may share the position of one message.
        """
        derived = self.derived.keys() & channels
        first = self._recent[0].seq if self._recent else self.seq + 1
        is_cut = derived and len(self._recent) == self._recent.maxlen and first >= after
        if after > self.seq or (after < self.seq and first > after + 1) or is_cut:
            return None
        missed = (
            u for u in self._recent if u.seq > after or (u.seq == after and u.channel in derived)
        )
        return self._chosen(missed, channels)

    async def replayed(
        self, after: int, last: int, channels: Collection[str]
    ) -> AsyncIterator[list[Update]]:
        """Yield the messages in (after, last] from the stream, some at a time, to one at a time.

        Raises NotKeptError: it has them no more, they are too many to be sent again, or it never
        had them, as those of derived channels.
        Raises TransientError, or what nats-py raises, while NATS is away.
        """
        if not 0 < last - after <= MOST_REPLAYED or not self.derived.keys().isdisjoint(channels):
            raise NotKeptError
        requested, fold, expected = set(channels), Newest(), after + 1
        for each in self._newest:
            if (each.first_seq or each.seq) <= after:  # older messages behind it are late
                fold.keep(each)
        async with self._replaying:
            async for batch in self._stream.between(after, last):
                if batch[0].seq != expected:
                    raise NotKeptError
                expected = batch[-1].seq + 1
                updates = [each for each in batch if each.channel and not each.again]
                yield [u for u in map(fold.take, self._chosen(updates, requested)) if u is not None]
        if expected <= last:
            raise NotKeptError

    def _chosen(self, updates: Iterable[Update], channels: Iterable[str]) -> list[Update]:
        requested = set(channels)
        return [u for u in updates if not requested.isdisjoint(live.patterns_matching(u.channel))]

    async def _follow(self) -> None:
        while True:
            try:
                if not self._caught_up.is_set():  # else go on: the snapshot has only the newest
                    await self._catch_up()
                self._refusal = ""
                async for batch in self._stream.follow(self.seq):
                    if not batch:
                        self._forget()
                    for update in batch:
                        self._take(update)
                    self._set_if_caught_up()
                    await self._republish()
                    self._expire()
            except TransientError as error:  # of a connection that is refused, only
                log.warning("the live stream is not followed: %s", error)
                self._refusal = str(error)
                await asyncio.sleep(0.5)
            except Exception:
                # Whatever the error, clients stay connected and the stream has the messages.
                log.exception("following the live stream failed, restarting")
                await asyncio.sleep(0.5)

    async def _catch_up(self) -> None:
        """Load the snapshot from the mirror, then the rest from the stream itself."""
        state = await self._stream.state()
        async for update in self._stream.latest():
            self._newest.keep(update)
            self.seq = max(self.seq, update.seq)
        if not state.messages:
            self.seq = max(self.seq, state.last_seq)
        self._catch_up_to = state.last_seq
        self._set_if_caught_up()

    def _set_if_caught_up(self) -> None:
        if self.seq >= self._catch_up_to:
            self._caught_up.set()

    def _expire(self) -> None:
        """Expire old channels periodically."""
        now_s = time.time()
        if self._latest_age_s and now_s >= self._expires_s:
            self._expires_s = now_s + _EXPIRE_EACH_S
            self._newest.expire(int((now_s - self._latest_age_s) * 1e6))

    def _forget(self) -> None:
        self.seq = self._catch_up_to = 0
        self.derived = dict.fromkeys(self.derived, 0)
        self._newest.clear()
        self._recent.clear()

    def _take(self, arrived: Update) -> None:
        self.seq = arrived.seq
        if not arrived.channel:
            return
        if arrived.again:
            self._newest.take_republished(arrived)
            return
        metrics.LIVE_MESSAGES.inc()
        self._ages.take(arrived)
        self._dispatch(arrived)
        if arrived.channel in self._derived:
            base = Candle.from_message(candles_pb2.Candle.FromString(arrived.payload))
            self._derive(arrived.channel, base, arrived.published_us, arrived.received_us)

    def _derive(self, base: str, candle: Candle, published_us: int, received_us: int) -> None:
        for channel, derive in self._derived.get(base, {}).items():
            derived = derive(candle, published_us)
            if derived is not None:
                self.publish_candle(channel, derived, received_us)

    def _dispatch(self, arrived: Update) -> None:
        update = self._newest.take(arrived)
        if update is None:
            return
        self._recent.append(update)
        patterns = live.patterns_matching(update.channel)
        wanting = [self._clients[each] for each in patterns if each in self._clients]
        if len(wanting) == 1:
            clients: Iterable[Subscriber] = wanting[0]
        else:
            clients = set(itertools.chain.from_iterable(wanting))
        for client in clients:
            client.offer(update)

    async def _republish(self) -> None:
        """Republish the newest of each channel as the last in the stream, by one replica."""
        overtaken = [e for e in self._newest.overtaken() if e[1].channel not in self.derived]
        for number, (last, update) in enumerate(overtaken):
            again = Message(update.channel, update.payload, update.received_us)
            first_seq = update.first_seq or update.seq
            try:
                await self._stream.publish(f"newest/{last}", [again], first_seq=first_seq)
            except TransientError as error:
                log.warning("cannot republish %s and later ones: %s", update.channel, error)
                for last_of_channel, each in overtaken[number:]:
                    self._newest.mark_overtaken(each.channel, last_of_channel)
                break
