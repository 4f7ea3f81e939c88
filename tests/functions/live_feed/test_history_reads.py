"""Reads from the history API: a symbol without an answer costs a timeout only now and then."""

from __future__ import annotations

import asyncio

from functions.live_feed.derived.history_api import NoAnswerError
from functions.live_feed.history_reads import HistoryReads
from shared.errors import TransientError


def test_a_symbol_without_an_answer_is_left_out_for_a_growing_pause() -> None:
    """Later passes read the other symbols, and the silent one after 2, 4, ... 64 s; then anew."""
    now_s, tried_s, read = 0.0, list[float](), list[str]()

    async def silent() -> None:
        tried_s.append(now_s)
        raise NoAnswerError("no answer")

    async def answered() -> None:
        read.append("B")

    async def test() -> None:
        nonlocal now_s
        history_reads = HistoryReads(lambda: now_s)
        while now_s < 200:
            await history_reads.run(
                {"ticks:A": silent, "candles:5m:A": silent, "ticks:B": answered}
            )
            now_s += 1
        now_s += 1_000
        for _ in range(4):
            await history_reads.run({"ticks:A": silent})
            now_s += 1

    asyncio.run(test())
    assert tried_s == [0, 2, 6, 14, 30, 62, 126, 190, 1_200, 1_202]
    assert len(read) == 200


def test_what_failed_comes_last_until_it_is_read() -> None:
    """A failure of one channel delays no other, and its success ends its place at the end."""
    fails, order = {"ticks:A"}, list[str]()

    async def read(channel: str) -> None:
        order.append(channel)
        if channel in fails:
            raise TransientError("refused")

    async def test() -> None:
        history_reads = HistoryReads()
        reads = {each: lambda each=each: read(each) for each in ("ticks:A", "ticks:B")}
        for _ in range(2):
            await history_reads.run(reads)
        fails.clear()
        for _ in range(2):
            await history_reads.run(reads)

    asyncio.run(test())
    assert [each[-1] for each in order] == ["A", "B", "B", "A", "B", "A", "A", "B"]
