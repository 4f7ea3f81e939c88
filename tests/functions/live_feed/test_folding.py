"""Longer candles folded live equal the fold of their base candles."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import copy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.live_feed.derived.folding import Folding, Read
from shared.candles.roll_up import folded
from shared.errors import TransientError
from shared.market.calendar_timeframes import timeframe_of
from shared.market.timeframes import Timeframe, parse_ladder
from shared.wire.candle import Candle

MINUTE = 60_000_000
LADDER = parse_ladder("1m,5m,1h")
FIXED = ["3m", "2h", "10m", "7m", "1w"]
CALENDAR = [
    "1M",
    "1y",
    "1d@Asia/Kolkata",
    "1h@0030-0215@UTC",
    "1w@0030-0215@UTC",
    "1d@0200-0100@UTC",
]
TIMEFRAMES = st.sampled_from([*FIXED, *CALENDAR]).map(timeframe_of)


def base(minute: int, price: int, revision: int = 1, *, closed: bool = True) -> Candle:
    value = Decimal(price)
    return Candle(
        *("A", "1m", minute * MINUTE, value, value + 2, value - 2, value + 1, Decimal(2)),
        *(2 * value, 3, Decimal(1), Decimal(1), minute * MINUTE, minute * MINUTE),
        closed=closed,
        revision=revision,
    )


def rolled(stored: dict[int, Candle], timeframe: Timeframe) -> list[Candle]:
    some = [stored[minute] for minute in sorted(stored)]
    return folded([some], timeframe, 10**9, copy, newest=False, max_batches=10**9)[0]


def reader(stored: dict[int, Candle]) -> Read:
    async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        end_us = 10**18 if to_us is None else to_us
        return [each for each in rolled(stored, frame) if from_us <= each.start_us < end_us]

    return read


def settled(folding: Folding, now_us: int, read: Read) -> list[Candle]:
    async def listed() -> list[Candle]:
        return [each async for each in folding.settled(now_us, read)]

    return asyncio.run(listed())


@given(
    TIMEFRAMES,
    st.dictionaries(st.integers(0, 400), st.integers(10, 99), min_size=1),
    st.lists(st.tuples(st.integers(0, 90), st.integers(10, 99)), max_size=20),
    st.booleans(),
)
def test_a_folding_is_the_fold_of_its_base_candles(
    timeframe: Timeframe,
    before: dict[int, int],
    after: list[tuple[int, int]],
    repeated: bool,
) -> None:
    """A live fold equals the fold of stored and live base candles, repeated or not."""
    stored = {minute: base(minute, price) for minute, price in before.items()}
    last = max(before)
    folding = Folding(timeframe)
    asyncio.run(folding.seed(LADDER, last * MINUTE, reader(stored)))
    for number, (minute, price) in enumerate(sorted(after, key=lambda each: each[0])):
        state = base(last + minute, price, 10 + number, closed=False)
        stored[last + minute] = state
        for _ in range(1 + repeated):
            folding.take(state, 0)
    assert folding.is_whole
    came = [(last + minute) * MINUTE for minute, _ in after]
    held = [last * MINUTE, *filter(timeframe.holds, came)]
    by_start = {each.start_us: each for each in rolled(stored, timeframe)}
    expected = by_start.get(timeframe.start_us(max(held)))
    assert folding.present(0) == (expected and replace(expected, closed=False))


def test_a_folded_candle_closes_with_its_parts_and_its_time() -> None:
    """A fold closes when all parts are closed and its end has passed."""
    folding = Folding(Timeframe.parse("3m"))
    asyncio.run(folding.seed(LADDER, 0, reader({0: base(0, 10)})))
    opened = folding.take(base(3, 10, closed=False), 9 * MINUTE)
    assert opened == replace(base(3, 10, closed=False), timeframe="3m")
    closed = folding.take(base(3, 10, 2), 6 * MINUTE)
    assert closed is not None
    assert closed.closed
    early = folding.take(base(4, 10, 3), 5 * MINUTE)
    assert early is not None
    assert not early.closed


def test_a_folded_candle_that_began_before_the_first_tick_is_partial() -> None:
    """The first candle is partial, as by the history API, although its parts are not."""
    timeframe = timeframe_of("3m")

    async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        stored = await reader({1: base(1, 10)})(frame, from_us, to_us)
        return [replace(each, partial=frame == timeframe) for each in stored]

    folding = Folding(timeframe)
    asyncio.run(folding.seed(LADDER, MINUTE, read))
    first, following = folding.present(10 * MINUTE), folding.take(base(3, 11), 10 * MINUTE)
    assert first is not None
    assert following is not None
    assert (first.partial, following.partial) == (True, False)


def test_a_candle_of_a_session_closes_with_it() -> None:
    """The half hour at a session's end is a candle, and trades after hours have none."""
    folding = Folding(timeframe_of("1h@0000-0130@UTC"))
    asyncio.run(folding.seed(LADDER, 0, reader({0: base(0, 10)})))
    folding.take(base(60, 10), 61 * MINUTE)
    assert folding.take(base(95, 99), 96 * MINUTE) is None
    present = folding.present(90 * MINUTE)
    assert present is not None
    assert (present.start_us, present.closed, present.trade_count) == (60 * MINUTE, True, 3)


def test_a_correction_of_a_folded_candle_needs_a_new_seed() -> None:
    """A correction of a folded candle needs a new seed from storage."""
    folding = Folding(Timeframe.parse("1h"))
    stored = {minute: base(minute, 10) for minute in range(7)}
    asyncio.run(folding.seed(LADDER, 6 * MINUTE, reader(stored)))
    stored[2] = base(2, 50, 9)
    assert folding.take(stored[2], 0) is None
    assert not folding.is_whole
    asyncio.run(folding.seed(LADDER, 6 * MINUTE, reader(stored)))
    present = folding.present(0)
    assert present is not None
    assert (present.high, present.trade_count) == (Decimal(52), 21)


def test_a_folded_candle_is_closed_and_corrected_after_the_next_one_began() -> None:
    """A folded candle is given closed, and once more when corrected, though a newer one grows."""
    folding, ended, given = Folding(Timeframe.parse("3m")), 6 * MINUTE, []
    stored = {3: base(3, 10)}
    asyncio.run(folding.seed(LADDER, 3 * MINUTE, reader(stored)))
    given.append(folding.take(base(5, 11, 2, closed=False), ended))
    folding.take(base(6, 12, 3, closed=False), ended)
    assert folding.take(base(5, 11, 4), ended) is None
    stored[5] = base(5, 11, 4)
    given += settled(folding, ended, reader(stored))
    assert folding.take(base(4, 50, 9), ended) is None
    assert settled(folding, ended, reader(stored)) == []  # not stored yet
    stored[4] = base(4, 50, 9)
    given += settled(folding, ended, reader(stored))
    assert settled(folding, ended, reader(stored)) == []
    shown = [(each.closed, each.trade_count, int(each.high)) for each in given if each is not None]
    assert shown == [(False, 6, 13), (True, 6, 13), (True, 9, 52)]
    revisions = [each.revision for each in given if each is not None]
    assert revisions == sorted(set(revisions))


def test_a_candle_that_storage_never_gets_is_read_ever_more_rarely() -> None:
    """An unsettled candle is read once a minute in the end, and is given when it is stored."""
    folding, stored, reads = Folding(Timeframe.parse("3m")), {0: base(0, 10)}, []
    read = reader(stored)

    async def counted(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        reads.append(from_us)
        return await read(frame, from_us, to_us)

    folding.take(base(1, 10, 2), 0)
    for second in range(0, 3_600, 2):
        assert settled(folding, 3 * MINUTE + second * 1_000_000, counted) == []
    assert len(reads) < 100
    stored[1] = base(1, 10, 2)
    assert len(settled(folding, 64 * MINUTE + 10_000_000, counted)) == 1


def test_a_folded_candle_closes_with_its_time_in_a_quiet_market() -> None:
    """A folded candle closes when its time has passed, though no trade follows."""
    folding = Folding(Timeframe.parse("3m"))
    stored = {0: base(0, 10)}
    opened = folding.take(base(0, 10), MINUTE)
    assert opened is None or not opened.closed
    assert settled(folding, 2 * MINUTE, reader(stored)) == []
    (closed,) = settled(folding, 3 * MINUTE, reader(stored))
    assert (closed.closed, closed.trade_count) == (True, 3)


def test_what_was_read_is_given_though_a_later_read_fails() -> None:
    """A failed read ends a pass after the candles read before it, and loses none."""
    folding, given = Folding(Timeframe.parse("3m")), list[int]()
    stored = {minute: base(minute, 10) for minute in (0, 3, 6)}
    for candle in stored.values():
        folding.take(candle, MINUTE)

    async def kept(failing: int) -> None:
        async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
            if from_us == failing * MINUTE:
                raise TransientError("history is away")
            return await reader(stored)(frame, from_us, to_us)

        async for each in folding.settled(10**12, read):
            given.append(each.start_us // MINUTE)

    with pytest.raises(TransientError):
        asyncio.run(kept(6))
    asyncio.run(kept(-1))
    assert given == [0, 3, 6]


def test_a_candle_may_be_closed_live_while_others_are_read() -> None:
    """A candle that `take` returns closed during a read is not given again."""
    folding = Folding(Timeframe.parse("3m"))
    stored = {minute: base(minute, 10) for minute in (0, 3, 6)}
    asyncio.run(folding.seed(LADDER, 0, reader({0: stored[0]})))
    for minute in (0, 3, 6):
        folding.take(base(minute, 10, closed=minute < 6), MINUTE)

    async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        if from_us == 0:
            last = folding.take(base(6, 10, 2), 10**12)
            assert last is not None
            assert last.closed
        return await reader(stored)(frame, from_us, to_us)

    assert [each.start_us // MINUTE for each in settled(folding, 10**12, read)] == [0, 3]


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_candle_whose_trades_were_withdrawn_is_settled_once(left: int) -> None:
    """Busts of a finished candle's trades give what is left of it, once; nothing left has n 0.

    Not before storage has them.
    """
    folding, ended = Folding(Timeframe.parse("3m")), 6 * MINUTE
    stored = {minute: base(minute, 10 + minute) for minute in (3, 4, 5)}
    asyncio.run(folding.seed(LADDER, 5 * MINUTE, reader(stored)))
    for candle in (*stored.values(), base(6, 10)):
        folding.take(candle, 5 * MINUTE)
    (before,) = settled(folding, ended, reader(stored))
    for minute in range(3 + left, 6):
        folding.take(replace(base(minute, 9, 9, closed=False), trade_count=0), ended)
    assert settled(folding, ended, reader(stored)) == []
    rest = {minute: candle for minute, candle in stored.items() if minute < 3 + left}
    (after,) = settled(folding, ended, reader(rest))
    assert (after.start_us, after.timeframe, after.closed) == (3 * MINUTE, "3m", True)
    assert after.trade_count == 3 * left
    assert after.revision > before.revision
    assert settled(folding, ended, reader(rest)) == []


def test_a_growing_candle_whose_last_trade_was_withdrawn_is_shown_without_it() -> None:
    """The state after a bust has a higher revision than the one before."""
    folding = Folding(Timeframe.parse("3m"))
    asyncio.run(folding.seed(LADDER, 3 * MINUTE, reader({3: base(3, 10)})))
    before = folding.take(base(4, 50, 5), 5 * MINUTE)
    after = folding.take(replace(base(4, 50, 6), trade_count=0), 5 * MINUTE)
    assert before is not None
    assert after is not None
    assert (before.trade_count, after.trade_count) == (6, 3)
    assert after.revision > before.revision


def test_candles_that_storage_does_not_have_do_not_delay_others() -> None:
    """Those that were not found are read again after the others, and given once stored.

    Few are read at once: other channels of the symbol wait meanwhile.
    """
    folding, stored, asked = Folding(Timeframe.parse("3m")), {0: base(0, 10)}, list[int]()

    async def counted(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        asked.append(from_us // MINUTE)
        return await reader(stored)(frame, from_us, to_us)

    for minute in range(0, 15, 3):  # one more than is read at once
        folding.take(base(minute, 10), MINUTE)
    assert settled(folding, 10**12, counted) == []
    assert asked == [3, 6, 9, 12]
    assert [each.start_us for each in settled(folding, 10**12, reader(stored))] == [0]
    stored[3] = base(3, 10)
    given = [each.start_us for _ in range(2) for each in settled(folding, 10**12, reader(stored))]
    assert given == [3 * MINUTE]


def test_each_part_of_a_step_raises_the_revision() -> None:
    """A candle that closes and the next one may share a revision: the longer one grows twice."""
    folding = Folding(Timeframe.parse("1h"))
    opened = base(0, 10, 5, closed=False)
    asyncio.run(folding.seed(LADDER, 0, reader({0: opened})))
    closed, repeated, grown = (
        folding.take(each, 0) for each in (base(0, 10, 9), base(0, 10, 9), base(1, 11, 9))
    )
    assert closed is not None
    assert repeated == closed
    assert grown is not None
    assert (closed.revision, grown.revision, grown.trade_count) == (9, 10, 6)


def test_weeks_begin_on_monday() -> None:
    """Weeks begin on Monday at 00:00 UTC."""
    week, monday_us = Timeframe.parse("1w"), 1_740_355_200_000_000
    assert week.start_us(monday_us) == monday_us
    assert week.start_us(monday_us + week.length_us - 1) == monday_us


def test_a_seed_of_the_interval_before_does_not_complete_a_fragment() -> None:
    """An answer without the newest interval leaves a folding that began within it incomplete."""
    folding = Folding(Timeframe.parse("5m"))
    stored = {minute: base(minute, 10) for minute in range(5)}
    assert folding.take(base(7, 30), 0) is None
    asyncio.run(folding.seed(LADDER, 4 * MINUTE, reader(stored)))
    assert folding.present(0) is None
    stored |= {5: base(5, 20), 6: base(6, 90), 7: base(7, 30)}
    asyncio.run(folding.seed(LADDER, 7 * MINUTE, reader(stored)))
    present = folding.present(0)
    assert present is not None
    assert (int(present.open), int(present.high)) == (20, 92)


def test_a_candle_that_cannot_be_read_lets_the_others_settle() -> None:
    """A candle whose reads fail is tried after the others of its channel."""
    folding = Folding(Timeframe.parse("5m"))
    stored = {minute: base(minute, 10) for minute in range(20)}
    asyncio.run(folding.seed(LADDER, 0, reader(stored)))
    for minute in range(16):
        folding.take(base(minute, 11, 9, closed=minute % 5 != 4), 0)
    settled: set[int] = set()

    async def read(frame: Timeframe, from_us: int, to_us: int | None) -> list[Candle]:
        if from_us == 0:
            raise TransientError("refused")
        return await reader({m: base(m, 11, 9) for m in range(20)})(frame, from_us, to_us)

    async def settle(now_us: int) -> None:
        with suppress(TransientError):
            async for each in folding.settled(now_us, read):
                settled.add(each.start_us)

    for second in range(8):
        asyncio.run(settle(60 * MINUTE + second * 1_000_000))
    assert {5 * MINUTE, 10 * MINUTE} <= settled
