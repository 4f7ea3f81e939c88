"""Reads from the history API: one a channel at a time, first values first, symbols by turns."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import selectors
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from functions.live_feed import history_reads
from functions.live_feed.derived.history_api import NoAnswerError
from functions.live_feed.history_reads import HistoryReads
from shared.errors import TransientError
from tests.local.broker.processes import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels are read again at once."""
    monkeypatch.setattr(history_reads, "_EACH_S", 0.0)


@dataclass
class Changing:
    """A channel that is always behind, or only until it was read once."""

    act: Callable[[], Awaitable[None]]
    is_always: bool = True
    is_read: bool = False

    def due_s(self) -> float:
        return math.inf if self.is_read and not self.is_always else 0.0

    async def begin(self) -> None:
        await self.read()

    async def read(self) -> None:
        await self.act()
        self.is_read = True


def test_a_symbol_without_an_answer_is_left_out_for_a_growing_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pause is of all its channels, and doubles; other symbols are read meanwhile."""
    monkeypatch.setattr(history_reads, "_PAUSE_S", 0.05)
    monkeypatch.setattr(history_reads, "_LONGEST_PAUSE_S", 0.2)
    tried_s, read = list[float](), list[float]()

    async def test() -> None:
        now_s = asyncio.get_running_loop().time

        async def silent() -> None:
            tried_s.append(now_s())
            raise NoAnswerError("no answer")

        async def answered() -> None:
            read.append(now_s())
            await asyncio.sleep(0)

        reads = HistoryReads(10**6)
        reads.begin("ticks:B", "B", Changing(answered))
        for name in ("ticks:A", "candles:5m:A"):
            reads.begin(name, "A", Changing(silent))
        await asyncio.wait_for(reads.first(["ticks:A", "candles:5m:A", "ticks:B"]), 60)
        await until(lambda: len(tried_s) == 6)
        await reads.close()

    asyncio.run(test())
    pauses_s = [later - earlier for earlier, later in itertools.pairwise(tried_s)]
    for pause_s, least_s in zip(pauses_s, (0.05, 0.1, 0.2, 0.2, 0.2), strict=True):
        assert pause_s >= least_s - 0.01
    for earlier, later in itertools.pairwise(tried_s):
        assert any(earlier < each < later for each in read)


class Simulated(selectors.DefaultSelector):
    """Waits by advancing a clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += timeout or 0.0
        return super().select(0)


def test_pauses_double_up_to_a_minute_and_begin_anew_for_a_new_watcher(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pauses of a symbol without an answer are 2, 4, ... 64 s; its last channel ends them."""
    caplog.set_level(logging.ERROR, history_reads.__name__)  # it would keep the symbol's pause
    clock, tried_s = Simulated(), list[float]()

    def loop() -> asyncio.AbstractEventLoop:
        made = asyncio.SelectorEventLoop(clock)
        made.time = lambda: clock.now_s  # type: ignore[method-assign]
        return made

    async def silent() -> None:
        tried_s.append(round(clock.now_s, 3))
        raise NoAnswerError("no answer")

    async def test() -> None:
        reads = HistoryReads()
        for until_s in (200, 1_207):
            for name in ("ticks:A", "candles:5m:A"):
                reads.begin(name, "A", Changing(silent))
            await asyncio.sleep(until_s - clock.now_s)
            for name in ("ticks:A", "candles:5m:A"):
                reads.end(name)
            await asyncio.sleep(1_200 - clock.now_s)
        await reads.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())
    assert tried_s == [0, 2, 6, 14, 30, 62, 126, 190, 1_200, 1_202, 1_206]


def test_a_channel_that_fails_delays_no_other_of_its_symbol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others are read while it pauses."""
    monkeypatch.setattr(history_reads, "_PAUSE_S", 0.05)
    order = list[str]()

    async def test() -> None:
        async def fails() -> None:
            order.append("fails")
            raise TransientError("refused")

        async def succeeds() -> None:
            order.append("succeeds")
            await asyncio.sleep(0)

        reads = HistoryReads(10**6)
        reads.begin("candles:3m:A", "A", Changing(fails))
        reads.begin("candles:5m:A", "A", Changing(succeeds))
        await until(lambda: order.count("fails") == 3)
        await reads.close()

    asyncio.run(test())
    assert order[:2] == ["fails", "succeeds"]
    assert order.count("succeeds") > 3


def test_re_reads_are_rate_limited_and_symbols_take_turns() -> None:
    """A symbol with many channels gets no more turns than one with a single channel.

    A first value waits for none of them, and few are read at once.
    """
    at_once, most, order = 0, 0, list[str]()

    async def test() -> None:
        async def read(name: str) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            order.append(name)
            await asyncio.sleep(0)
            at_once -= 1

        reads = HistoryReads(1_000)
        names = [*(f"candles:{n}m:A" for n in range(20)), "ticks:B"]
        for name in names:
            reads.begin(name, name[-1], Changing(partial(read, name)))
        await asyncio.wait_for(reads.first(names), 60)
        order.clear()
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        await until(lambda: len(order) >= 50)
        took_s, count = now_s() - began_s, len(order)
        reads.begin("bars:tick:3:A", "A", Changing(partial(read, "first"), is_always=False))
        await asyncio.wait_for(reads.first(["bars:tick:3:A"]), 60)
        assert "first" in order
        await reads.close()
        assert count <= took_s * 1_000 + 2

    asyncio.run(test())
    assert abs(order[:50].count("ticks:B") - 25) <= 2
    assert most <= 8


def test_a_channel_is_read_once_at_a_time_and_again_after_a_change() -> None:
    """Changes during a read lead to one more, and none is read after its end."""
    at_once, most, count, behind = 0, 0, 0, True

    class Source:
        def due_s(self) -> float:
            return 0.0 if behind else math.inf

        async def begin(self) -> None:
            await self.read()

        async def read(self) -> None:
            nonlocal at_once, most, count, behind
            behind = False
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            count += 1

    async def test() -> None:
        nonlocal behind
        reads = HistoryReads(10**6)
        reads.begin("candles:3m:A", "A", Source())
        await asyncio.sleep(0.005)
        for _ in range(3):
            behind = True
            reads.check("candles:3m:A")
        await until(lambda: count == 2)
        await asyncio.sleep(0.05)
        assert (count, most) == (2, 1)
        reads.end("candles:3m:A")
        behind = True
        reads.check("candles:3m:A")
        await asyncio.sleep(0.05)
        assert count == 2
        assert not reads._channels
        await reads.close()

    asyncio.run(test())
