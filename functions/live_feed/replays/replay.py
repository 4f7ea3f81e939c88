"""A replay: stored trades and patterns as the live feed would have sent them, with candles.

The replay clock runs `speed` times as fast as the wall clock. Each step plays what is due, and
waits while the client's queue is half full: a slow client slows down its own replay, and nothing is
dropped except candle states that a newer one replaces.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.fanout import Message
from functions.live_feed.newest import Newest
from functions.live_feed.protocols.frames import Update, snapshot
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.replays.replay_request import ReplayRequest, RequestError
from functions.live_feed.replays.replay_symbol import SymbolReplay
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.runtime import metrics

STREAM: Final = "replay"
_STEP_S: Final = 0.05
_LATE_STEP_S: Final = 0.25
_REPORT_EACH_S: Final = 1.0

log = logging.getLogger(__name__)


class Pace:
    """Time in microseconds since 1970, from `from_us` on. `clock`: seconds, monotonic."""

    def __init__(
        self, from_us: int, speed: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._at_us = from_us
        self._since_s: float | None = clock()
        self.speed = speed

    def now_us(self) -> int:
        """Return the current replay time."""
        if self._since_s is None:
            return self._at_us
        return self._at_us + int((self._clock() - self._since_s) * self.speed * 1e6)

    def hold(self) -> None:
        """Stand still."""
        self._at_us, self._since_s = self.now_us(), None

    def go(self, speed: float | None = None, at_us: int | None = None) -> None:
        """Resume, at another time or speed if given."""
        self._at_us = self.now_us() if at_us is None else at_us
        self._since_s = self._clock()
        self.speed = self.speed if speed is None else speed


class Replays:
    """Starts replays, up to `limit` at once. Used by one event loop."""

    def __init__(self, history: HistoryApi, ladder: tuple[Timeframe, ...], limit: int) -> None:
        self._history = history
        self._ladder = ladder
        self._limit = limit
        self._running = 0

    def start(self, request: ReplayRequest, client: Subscriber) -> Replay:
        """Start a replay for a client. Raises RequestError."""
        if not self._history.is_configured:
            raise RequestError("no_history", "API_URL is not set: there is no history to replay")
        if self._running >= self._limit:
            raise RequestError(
                "too_many_replays", f"this replica plays {self._limit} replays at most: try later"
            )
        self._running += 1
        metrics.LIVE_REPLAYS.inc()
        return Replay(request, self._history, self._ladder, client, self._ended)

    def _ended(self) -> None:
        self._running -= 1
        metrics.LIVE_REPLAYS.dec()


class Replay:
    """One replay, running from its creation until its end, `stop` or an error."""

    def __init__(
        self,
        request: ReplayRequest,
        history: HistoryApi,
        ladder: tuple[Timeframe, ...],
        client: Subscriber,
        ended: Callable[[], None],
    ) -> None:
        self._request, self._client = request, client
        self._newest = Newest()
        self._seq = 0
        self._at_us = request.from_us
        self._reported_s = 0.0
        self._playing = asyncio.Event()
        self._playing.set()
        self._pace = Pace(request.from_us, request.speed)
        self._parts = [SymbolReplay(symbol, request, history, ladder) for symbol in request.symbols]
        self._task = asyncio.create_task(self._run(), name="replay")
        self._task.add_done_callback(lambda _: ended())

    @property
    def is_over(self) -> bool:
        """Whether it has finished."""
        return self._task.done()

    def pause(self) -> None:
        """Pause until `resume`."""
        self._pace.hold()
        self._playing.clear()
        self._report("paused")

    def resume(self, speed: float | None = None) -> None:
        """Resume, at another speed if given."""
        self._pace.go(speed)
        self._playing.set()
        self._report("playing")

    def stop(self) -> None:
        """End it."""
        if not self.is_over:
            self._task.cancel()
            self._report("stopped")

    async def _run(self) -> None:
        try:
            await self._begin()
            while True:
                await self._playing.wait()
                began_s = time.monotonic()
                target_us = min(self._pace.now_us(), self._request.to_us)
                await self._play(target_us)
                if target_us >= self._request.to_us:
                    break
                if time.monotonic() - began_s > _LATE_STEP_S and self._playing.is_set():
                    self._pace.go(at_us=target_us)
                if time.monotonic() - self._reported_s >= _REPORT_EACH_S:
                    self._report("playing")
                await asyncio.sleep(_STEP_S)
            self._report("ended")
        except RequestError as error:
            self._fail(error.code, str(error))
        except TransientError as error:
            self._fail("history_away", str(error))
        except Exception:
            log.exception("a replay met a defect")
            self._fail("defect", "the replay failed with an internal error, which is logged")

    async def _begin(self) -> None:
        """Announce the start and send the snapshot as of then."""
        for part in self._parts:
            await part.begin()
            for message in part.before(self._request.from_us):
                self._newest.keep(Update(0, *message))
        channels = list(self._request.channels)
        self._client.answer("subscribed", channels=channels, seq=0, stream=STREAM, replayed=False)
        present = [each for each in self._newest if each.channel in self._request.channels]
        self._client.say(*snapshot(present, 0, self._client.form))
        self._pace.go(at_us=self._request.from_us)
        self._report("playing")

    async def _play(self, target_us: int) -> None:
        """Send everything due by the time, in order across symbols."""
        while True:
            coming = [(await part.next_at(target_us), n) for n, part in enumerate(self._parts)]
            at_us, number = min(coming, key=lambda each: (each[0] is None, each))
            if at_us is None or at_us > target_us or at_us >= self._request.to_us:
                break
            for message in self._parts[number].play(at_us):
                await self._give(message)
            self._at_us = at_us
        for part in self._parts:
            for message in part.states(target_us):
                await self._give(message)
        self._at_us = target_us

    async def _give(self, message: Message) -> None:
        await self._client.room()
        await self._playing.wait()
        self._seq += 1
        newest = self._newest.take(Update(self._seq, *message))
        if newest is not None and newest.channel in self._request.channels:
            self._client.offer(newest)

    def _report(self, state: str) -> None:
        self._reported_s = time.monotonic()
        self._client.answer(
            "replay",
            state=state,
            time_ms=self._at_us // 1000,
            speed=self._pace.speed,
            seq=self._seq,
        )

    def _fail(self, code: str, message: str) -> None:
        self._client.answer("error", code=code, msg=message)
        self._report("failed")
