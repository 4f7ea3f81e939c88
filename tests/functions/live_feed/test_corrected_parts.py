"""Corrections of a longer candle's parts that are shown before they are stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from functions.live_feed.derived.folding import Folding
from shared.market.timeframes import Timeframe
from shared.wire.candle import Candle
from tests.functions.live_feed.test_folding import LADDER, MINUTE, base, reader


def test_a_late_candle_before_the_first_seed_does_not_make_the_next_one_whole() -> None:
    """A correction of an earlier interval, come first, says nothing about the newest one."""
    folding = Folding(Timeframe.parse("1h"))
    stored = {minute: base(minute, 10) for minute in (*range(7), *range(60, 65))}
    assert folding.take(stored[3], 0) is None
    assert folding.take(base(65, 20, 2, closed=False), 0) is None
    stored[65] = base(65, 20, 2, closed=False)
    asyncio.run(folding.seed(LADDER, 65 * MINUTE, reader(stored)))
    present = folding.present(0)
    assert present is not None
    assert (int(present.open), present.trade_count) == (10, 18)


@pytest.mark.parametrize("trades", [3, 0])
def test_a_correction_is_read_again_until_storage_has_it(trades: int) -> None:
    """A candle is shown before it is stored: a longer one read meanwhile lacks it."""
    folding = Folding(Timeframe.parse("1h"))
    stored = {minute: base(minute, 10) for minute in range(6)}
    stored[6] = base(6, 10, 20, closed=False)
    asyncio.run(folding.seed(LADDER, 6 * MINUTE, reader(stored)))
    changed = replace(base(2, 50, 9), trade_count=trades)
    assert folding.take(changed, 0) is None
    asyncio.run(folding.seed(LADDER, 6 * MINUTE, reader(stored)))
    assert folding.present(0) is None
    if trades:
        stored[2] = changed
    else:
        del stored[2]
    asyncio.run(folding.seed(LADDER, 6 * MINUTE, reader(stored)))
    present = folding.present(0)
    assert present is not None
    assert (int(present.high), present.trade_count) == ((52, 21) if trades else (12, 18))
    assert present.revision == 21


@pytest.mark.parametrize("later", [3, 6])
def test_a_newer_part_that_is_stored_first_hides_no_correction(later: int) -> None:
    """A fold is whole only with each correction, also where a later candle is newer and stored."""
    folding = Folding(Timeframe.parse("1h"))
    stored = {minute: base(minute, 10) for minute in range(7)}
    stored[7] = base(7, 10, 20, closed=False)
    asyncio.run(folding.seed(LADDER, 7 * MINUTE, reader(stored)))
    changed, newer = base(2, 99, 21), base(later, 10, 30)
    for each in (changed, newer):
        folding.take(each, 0)
    stored[later] = newer
    asyncio.run(folding.seed(LADDER, 7 * MINUTE, reader(stored)))
    assert folding.present(0) is None
    stored[2] = changed
    asyncio.run(folding.seed(LADDER, 7 * MINUTE, reader(stored)))
    present = folding.present(0)
    assert present is not None
    assert present.high == 101


def test_a_part_that_is_withdrawn_while_others_are_read_is_not_folded() -> None:
    """Storage that changes between two reads of a seed makes no wrong fold."""
    folding = Folding(Timeframe.parse("1h"))
    stored = {minute: base(minute, 10) for minute in range(7)}
    stored[7] = base(7, 10, 20, closed=False)
    asyncio.run(folding.seed(LADDER, 7 * MINUTE, reader(stored)))
    assert folding.take(replace(base(2, 10, 9), trade_count=0), 0) is None

    async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        found = await reader(stored)(frame, from_us, to_us)
        if frame.name == "5m":
            stored.pop(2, None)
        return found

    for _ in range(2):
        asyncio.run(folding.seed(LADDER, 7 * MINUTE, read))
        present = folding.present(0)
        assert present is None or present.trade_count == 21
    assert folding.is_whole
