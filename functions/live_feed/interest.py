"""Interest: leases of watched instruments, initial values, and derived channels."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.derived.live_bars import LiveBars
from functions.live_feed.derived.live_candles import LiveCandles
from functions.live_feed.derived.live_indicators import LiveIndicator
from functions.live_feed.history_reads import HistoryReads
from functions.live_feed.hub import Hub
from functions.live_feed.initial_values import InitialValues, leases_of
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
    reads: HistoryReads = field(default_factory=HistoryReads)
    _since: dict[str, int] = field(default_factory=dict)
    _initial: InitialValues = field(init=False)
    _external: set[str] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None
    _loader: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="channels")
    )

    def __post_init__(self) -> None:
        self._initial = InitialValues(
            self.hub, self.history, self.ladder, self.reads, lambda: self._since
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
        if any("@" in each or each.startswith(live.INDICATORS) for each in channels):
            # A thread of their own: TA-Lib and the sessions of exchanges are slow to load.
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._loader, lambda: list(map(self.check, channels)))
        return list(map(self.check, channels))

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
            derived_since = self.hub.derived.get(channel)
            if derived_since is not None and derived_since >= seq:
                return False
        return True

    async def load(self, channels: Iterable[str]) -> None:
        """Load the initial values of channels without a message yet."""
        channels = list(channels)
        inputs = list(map(_candles_of, channels))
        stored = (each for each in inputs if each.startswith((live.TICKS, live.CANDLES)))
        reads = self._initial.begin(self._names(stored))
        for each in (*inputs, *channels):
            self._follow(each)
        await self.reads.first((*reads, *inputs, *channels))

    async def close(self) -> None:
        """Let the leases expire."""
        if self._task is not None:
            await end(self._task)
        await self.reads.close()
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

    def _folded(self, channel: str) -> Timeframe | None:
        """Return the timeframe of a candle channel that candle-aggregate does not make."""
        if not live.is_of_candles(channel):
            return None
        name = channel.split(":", 2)[1]
        if name == ALL or name in {each.name for each in self.ladder}:
            return None
        return timeframe_of(name)

    def _follow(self, channel: str) -> None:
        """Derive a channel's messages from now on, where this replica makes them itself."""
        if channel in self.hub.derived:
            return
        timeframe = self._folded(channel)
        source: LiveBars | LiveCandles | LiveIndicator
        if channel.startswith(live.BARS):
            source = LiveBars(channel, self.hub, self.history, self.ladder[0])
        elif channel.startswith(live.INDICATORS):
            source = LiveIndicator(channel, self.hub, self.history)
        elif timeframe is not None:
            source = LiveCandles(channel, timeframe, self.hub, self.history, self.ladder)
        else:
            return

        shown_us = -1

        def take(candle: Candle, now_us: int) -> Candle | None:
            nonlocal shown_us
            longer = source.take(candle, now_us)
            if longer is None or longer.start_us != shown_us:  # else it only grows
                shown_us = shown_us if longer is None else longer.start_us
                self.reads.check(channel)
            return longer

        self.hub.derive(source.candles, channel, take)
        self.reads.begin(channel, live.instrument_of(channel) or channel, source)

    async def _keep(self) -> None:
        """Renew leases and end what is no longer watched."""
        while True:
            await asyncio.sleep(_RENEW_EACH_S)
            try:
                await self._renew_wanted()
            except Exception:
                log.exception("a renewal of the leases failed, the next is due")

    async def _renew_wanted(self) -> None:
        try:
            async with asyncio.timeout(_EXTERNAL_S):
                self._external = await self.external()
        except Exception as error:  # noqa: BLE001 - whatever it is, leases are renewed
            log.warning("cannot read the subscriptions on NATS, keeping the last known: %r", error)
        wanted = self.hub.wanted
        names = self._names(wanted) | self._external
        self._since = {n: p for n, p in self._since.items() if n in names}
        self._initial.keep(names)
        for channel in self.hub.derived.keys() - wanted.union(map(_candles_of, wanted)):
            self.hub.underive(channel)
            self.reads.end(channel)
        await self._renew(names)

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
