"""Interest: leases of watched instruments, initial values, and derived channels."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from functions.live_feed.derived.folding import Folding
from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.derived.live_bars import LiveBars
from functions.live_feed.derived.live_indicators import LiveIndicator
from functions.live_feed.history_reads import HistoryReads, Read
from functions.live_feed.hub import Hub
from functions.live_feed.initial_values import InitialValues, leases_of
from shared.analysis.talib_indicators import functions
from shared.errors import TransientError
from shared.market.calendar_timeframes import timeframe_of
from shared.market.resolution import resolved
from shared.market.timeframes import Timeframe
from shared.realtime import channels as live
from shared.realtime.channels import ChannelError
from shared.realtime.leases import ALL, READ_EACH_S, Leases
from shared.runtime.tasks import end
from shared.wire.candle import Candle

log = logging.getLogger(__name__)

_RENEW_EACH_S: Final = 2.0
_EXTERNAL_S: Final = 5.0
"""A client of NATS may connect for longer than a lease lasts, 15 s."""


async def nobody() -> set[str]:
    """Return the instruments watched past this hub: none."""
    return set()


@dataclass(slots=True)
class Interest:
    """Used by one event loop. `elsewhere` names what is watched past the hub (NATS in a browser).

    `ladder`: candle-aggregate's timeframes, the base first. `until_emitted_s`: time within which
    emitters know of a new lease.
    """

    hub: Hub
    leases: Leases
    history: HistoryApi
    ladder: tuple[Timeframe, ...]
    external: Callable[[], Awaitable[set[str]]] = nobody
    until_emitted_s: float = READ_EACH_S + 0.05
    _since: dict[str, int] = field(default_factory=dict)
    _reads: HistoryReads = field(default_factory=HistoryReads)
    _initial: InitialValues = field(init=False)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _foldings: dict[str, Folding] = field(default_factory=dict)
    _followed: dict[str, LiveBars | LiveIndicator] = field(default_factory=dict)
    _external: set[str] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None
    _reloading: asyncio.Task[None] | None = None
    _settling: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._initial = InitialValues(
            self.hub, self.history, self.ladder, self._reads, lambda: self._since
        )

    def check(self, channel: str) -> str:
        """Return the normalized channel. Raises ChannelError that names the fix."""
        if _is_of_history(live.checked(channel)) and not self.history.is_configured:
            raise ChannelError(f"{channel!r}: it needs the history API: set API_URL")
        timeframe = self._folded(_candles_of(channel))
        if timeframe is None:
            return channel
        try:
            is_made = resolved(timeframe, self.ladder).part is not None
        except ValueError as error:
            raise ChannelError(f"{channel!r}: {error}") from None
        if not is_made:
            raise ChannelError(
                f"{channel!r}: timeframe {timeframe} is not made; there are"
                f" {', '.join(map(str, self.ladder))}, and multiples of {self.ladder[0]}"
            )
        if live.instrument_of(channel) == ALL:
            raise ChannelError(
                f"{channel!r}: {timeframe} is folded for named symbols; for all of them there are"
                f" {', '.join(map(str, self.ladder))}"
            )
        return channel

    async def checked(self, channels: Iterable[str]) -> list[str]:
        """Return the normalized channels. Raises ChannelError that names the fix."""
        channels = list(channels)
        if any(each.startswith(live.INDICATORS) for each in channels):
            await asyncio.to_thread(functions)  # TA-Lib is slow to load
        return [self.check(each) for each in channels]

    def start(self) -> None:
        """Start renewing leases."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep(), name="live-feed leases")

    async def watch(self, channels: Iterable[str]) -> dict[str, int]:
        """Lease what the channels need; return the position since which each is watched.

        Positions are sequence numbers of the stream. Returns when the emitters know of the leases.
        """
        self.start()
        names = self._names(channels)
        unleased = names - self._since.keys()
        if unleased:
            start_seq = self.hub.seq
            await self._renew(unleased)
            if any(self._since.get(name, start_seq) >= start_seq for name in unleased):
                await asyncio.sleep(self.until_emitted_s)
        return dict(self._since)

    def recovered(
        self, since: Mapping[str, int], channels: Iterable[str], seq: int, stream_name: str
    ) -> bool:
        """Tell whether everything on the channels after a position was published, or derived here.

        `since`: from `watch`. `stream_name`: of the replica that sent the position. Bars and
        indicators have other positions on each.
        """
        if not self.hub.counts_in(stream_name):
            return False
        for channel in channels:
            if _is_of_history(channel) and stream_name != self.hub.stream_name:
                return False
            for name in self._names([channel]):
                begun = [since[each] for each in leases_of(name) if each in since]
                if not begun or min(begun) > seq:
                    return False
            if self._is_derived(channel):
                derived_since = self.hub.derived_since(channel)
                if derived_since is None or derived_since >= seq:
                    return False
        return True

    async def load(self, channels: Iterable[str]) -> None:
        """Load the initial values of channels without a message yet."""
        channels = list(channels)
        kinds = (live.TICKS, live.CANDLES)
        unloaded = [each for each in map(_candles_of, channels) if each.startswith(kinds)]
        names = {name for name in map(live.instrument_of, unloaded) if name}
        names |= set(filter(live.is_of_candles, unloaded))
        async with self._loading:  # concurrent requests for the same channel wait for it
            await self._reads.run(self._initial.first(names) | self._beginnings(channels))

    async def close(self) -> None:
        """Let the leases expire."""
        for task in (self._task, self._reloading, self._settling):
            if task is not None:
                await end(task)
        for followed in self._followed.values():
            await followed.close()
        await self.history.close()

    def _names(self, channels: Iterable[str]) -> set[str]:
        """Return what to lease: instruments, and candle channels published for them."""
        names = set()
        for channel in channels:
            instrument = live.instrument_of(channel)
            if instrument is None:
                continue
            names.add(instrument)
            channel = _candles_of(channel)
            if self._folded(channel) is not None or channel.startswith(live.BARS):
                channel = f"{live.CANDLES}:{self.ladder[0]}:{instrument}"
            if live.is_of_candles(channel):
                names.add(channel)
        return names

    def _is_derived(self, channel: str) -> bool:
        """Tell whether this replica makes the channel's messages itself."""
        return _is_of_history(channel) or self._folded(channel) is not None

    def _folded(self, channel: str) -> Timeframe | None:
        """Return the timeframe of a candle channel that candle-aggregate does not make."""
        if not live.is_of_candles(channel):
            return None
        name = channel.split(":", 2)[1]
        if name == ALL or name in {each.name for each in self.ladder}:
            return None
        return timeframe_of(name)

    def _beginnings(self, channels: Collection[str]) -> dict[str, Read]:
        """Return the reads with which folded candles, bars and indicators begin."""
        candles = [each for each in map(_candles_of, channels) if self._folded(each) is not None]
        reads: dict[str, Read] = {each: partial(self._fold, each) for each in candles}
        followed = [each for each in channels if _is_of_history(each)]
        return reads | {each: partial(self._follow, each) for each in followed}

    async def _fold(self, channel: str) -> None:
        timeframe, symbol = self._folded(channel), live.instrument_of(channel)
        if timeframe is None or symbol is None:
            return
        folding = self._foldings.get(channel)
        if folding is None:
            folding = self._foldings[channel] = Folding(timeframe)
            base = f"{live.CANDLES}:{self.ladder[0]}:{symbol}"
            self.hub.derive(base, channel, folding.take)
        if not folding.is_whole:
            await self._seed(channel, folding, symbol)

    async def _follow(self, channel: str) -> None:
        """Follow a channel of bars or of an indicator; return when its newest value is known."""
        if channel in self._followed or not _is_of_history(channel):
            return
        followed: LiveBars | LiveIndicator
        if channel.startswith(live.BARS):
            followed = LiveBars(channel, self.hub, self.history, self.ladder[0])
        else:
            followed = LiveIndicator(channel, self.hub, self.history)
        self._followed[channel] = followed
        self.hub.derive(followed.candles, channel, followed.take)
        try:
            await self._fold(followed.candles)
            await followed.begin()
        except BaseException:  # to be begun again, also where the watcher that waited has left
            if self._followed.get(channel) is followed:
                self.hub.underive(channel)
                del self._followed[channel]
            raise
        if self._followed.get(channel) is not followed:  # all of its watchers have left meanwhile
            await followed.close()

    async def _seed(self, channel: str, folding: Folding, symbol: str) -> None:
        newest = await self.history.newest(symbol, self.ladder[0].name)
        if newest is None:
            return

        async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
            return await self.history.candles(symbol, frame.name, from_us, to_us)

        await folding.seed(self.ladder, newest.start_us, read)
        present = folding.present(time.time_ns() // 1000)
        if present is not None and self._foldings.get(channel) is folding:
            self.hub.publish_candle(channel, present)

    async def _keep(self) -> None:
        """Renew leases and end what is no longer watched."""
        while True:
            await asyncio.sleep(_RENEW_EACH_S)
            try:
                await self._renew_wanted()
                await self._end_unwanted()
            except Exception:
                log.exception("a renewal of the leases failed, the next is due")
            if self._reloading is None or self._reloading.done():  # does not delay lease renewal
                self._reloading = asyncio.create_task(self._reload(), name="live-feed present")
            if self._settling is None or self._settling.done():  # does not delay first values
                self._settling = asyncio.create_task(self._settle(), name="live-feed settled")

    async def _renew_wanted(self) -> None:
        try:
            async with asyncio.timeout(_EXTERNAL_S):
                self._external = await self.external()
        except Exception as error:  # noqa: BLE001 - whatever it is, leases are renewed
            log.warning("cannot read the subscriptions on NATS, keeping the last known: %r", error)
        names = self._names(self.hub.wanted) | self._external
        self._since = {n: p for n, p in self._since.items() if n in names}
        self._initial.keep(names)
        await self._renew(names)

    async def _end_unwanted(self) -> None:
        wanted = self.hub.wanted
        for channel in self._foldings.keys() - wanted - set(map(_candles_of, wanted)):
            del self._foldings[channel]
            self.hub.underive(channel)
        for channel in self._followed.keys() - wanted:
            self.hub.underive(channel)
            await self._followed.pop(channel).close()

    async def _reload(self) -> None:
        """Read from history what is incomplete or may not have been stored."""
        await self._reads.run(self._beginnings(self.hub.wanted) | self._initial.due())

    async def _settle(self) -> None:
        """Publish folded candles that closed without a message, or were corrected later."""
        foldings = self._foldings.items()
        await self._reads.run({each: partial(self._settle_one, each, f) for each, f in foldings})

    async def _settle_one(self, channel: str, folding: Folding) -> None:
        symbol = live.instrument_of(channel) or ""

        async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
            async with self.history.background():
                return await self.history.candles(symbol, frame.name, from_us, to_us)

        async with aclosing(folding.settled(time.time_ns() // 1000, read)) as settled:
            async for candle in settled:
                if self._foldings.get(channel) is not folding:
                    break  # its last watcher has left
                self.hub.publish_candle(channel, candle)

    async def _renew(self, names: set[str]) -> None:
        try:
            self._since |= await asyncio.to_thread(self.leases.renew, names, self.hub.seq)
        except TransientError as error:
            self._since = {n: p for n, p in self._since.items() if n not in names}
            log.warning("cannot renew the leases: %s", error)


def _is_of_history(channel: str) -> bool:
    """Tell whether the channel's values are read from the history API."""
    return channel.startswith((live.BARS, live.INDICATORS))


def _candles_of(channel: str) -> str:
    """Return the input candle channel of an indicator channel; others unchanged."""
    if not channel.startswith(live.INDICATORS):
        return channel
    _, timeframe, symbol = live.indicator_of(channel)
    return f"{live.CANDLES}:{timeframe}:{symbol}"
