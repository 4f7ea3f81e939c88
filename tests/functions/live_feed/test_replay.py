"""The parts of a replay: clock, candles, limits, and flow control for slow clients."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.protocols.frames import Form, Update
from functions.live_feed.protocols.subscriber import Subscriber
from functions.live_feed.replays.replay import Pace, Replays
from functions.live_feed.replays.replay_candles import ReplayCandles
from functions.live_feed.replays.replay_request import ReplayRequest, RequestError, read_replay
from functions.live_feed.replays.replay_source import Trade, Trades
from shared.market.timeframes import parse_ladder
from shared.wire.candle import Candle
from tests.functions.live_feed.conftest import tick
from tests.local.broker.processes import until

MINUTE = 60_000_000
LADDER = parse_ladder("1m,5m")


def test_the_clock_runs_at_its_speed_and_can_be_paused() -> None:
    """The clock runs at its speed, stands while held, and changes speed from where it stands."""
    now_s = 100.0
    pace = Pace(5_000_000, 10.0, lambda: now_s)
    now_s = 101.0
    assert pace.now_us() == 15_000_000
    pace.hold()
    now_s = 200.0
    assert pace.now_us() == 15_000_000
    pace.go(2.0)
    now_s = 201.5
    assert pace.now_us() == 18_000_000
    pace.go(at_us=7_000_000)
    assert pace.now_us() == 7_000_000


def trade(order: int, time_us: int, price: int, size: int, side: str | None) -> Trade:
    """A trade that is played at its own time."""
    return Trade(time_us, order, time_us, time_us, str(price), str(size), side, None)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * MINUTE - 1),
            st.integers(-5, 5),
            st.integers(1, 9),
            st.sampled_from([None, "buy", "sell"]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_candles_end_the_same_in_any_order(
    rows: list[tuple[int, int, int, str | None]], random: object
) -> None:
    """In any order each candle's highest revision is closed and equals its trades."""
    trades = [trade(n, *row) for n, row in enumerate(rows)]
    shuffled = list(trades)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    made = ReplayCandles("A", LADDER[0], [LADDER[0]])
    states: list[Candle] = []
    for n, each in enumerate(shuffled):
        made.take(each)
        if n % 3 == 0:
            states += made.states(each.time_us)
    states += made.states(5 * MINUTE)
    revisions = [each.revision for each in states]
    assert revisions == sorted(set(revisions))
    last = {each.start_us: each for each in states}
    for start_us in {each.time_us // MINUTE * MINUTE for each in trades}:
        own = sorted(
            (e for e in trades if start_us <= e.time_us < start_us + MINUTE),
            key=lambda e: (e.time_us, e.order),
        )
        candle = last[start_us]
        assert candle.closed
        assert (candle.open, candle.close) == (Decimal(own[0].price), Decimal(own[-1].price))
        prices, sizes = [Decimal(e.price) for e in own], [Decimal(e.size) for e in own]
        assert (candle.high, candle.low) == (max(prices), min(prices))
        assert (candle.trade_count, candle.volume) == (len(own), sum(sizes))
        assert candle.notional == sum(p * s for p, s in zip(prices, sizes, strict=True))
        bought = sum(Decimal(e.size) for e in own if e.side == "buy")
        assert candle.buy_volume == bought


def test_volume_only_trades_move_no_price_of_a_replayed_candle() -> None:
    """A volume-only trade adds volume to a candle, and alone makes none."""
    made = ReplayCandles("A", LADDER[0], [LADDER[0]])
    made.take(trade(1, 10, 999, 5, "buy")._replace(moves_price=False))
    assert list(made.states(MINUTE)) == []
    assert not made.ends_before(MINUTE)
    made.take(trade(2, 20, 7, 1, None))
    made.take(trade(3, 30, 999, 2, None)._replace(moves_price=False))
    (candle,) = made.states(MINUTE)
    assert {candle.open, candle.high, candle.low, candle.close} == {Decimal(7)}
    assert [candle.volume, candle.buy_volume] == [Decimal(8), Decimal(5)]
    assert candle.trade_count == 3


def test_only_trades_that_count_are_replayed() -> None:
    """A cancelled trade is not replayed, and a corrected one has its new values."""
    row = {"us": 10, "p": "1", "s": "1", "side": None, "id": "1", "received": 1, "flags": None}
    rows = [
        {**row, "ended": 5},
        {**row, "id": "2", "ended": 5},
        {**row, "id": "2", "p": "3", "ended": None, "flags": "corrected"},
        {**row, "id": "3", "ended": None, "flags": "volume_only odd_lot"},
    ]

    class History(HistoryApi):
        async def ticks(self, *_: object) -> tuple[list[dict[str, Any]], None]:
            return rows, None

    async def played() -> list[Trade]:
        trades = Trades(History(""), "A", 0, MINUTE, by_receipt=False)
        found = []
        while await trades.next_at() is not None:
            found.append(trades.take())
        return found

    found = [(each.id, each.price, each.moves_price) for each in asyncio.run(played())]
    assert found == [("2", "3", True), ("3", "1", False)]


def test_a_longer_candle_closes_at_its_end_without_a_trade() -> None:
    """A longer candle closes at its end, minutes after its last base candle."""

    async def seeded() -> ReplayCandles:
        made = ReplayCandles("A", LADDER[0], [LADDER[1]])
        await made.seed(HistoryApi(""), LADDER, 0)
        return made

    made = asyncio.run(seeded())
    made.take(trade(1, 10, 100, 1, None))
    (opened,) = made.states(20)
    assert (opened.timeframe, opened.closed, opened.trade_count) == ("5m", False, 1)
    assert [each.closed for each in made.states(MINUTE)] == [False]
    assert list(made.states(4 * MINUTE)) == []
    (closed,) = made.states(5 * MINUTE)
    assert (closed.closed, closed.trade_count) == (True, 1)
    assert list(made.states(6 * MINUTE)) == []


def test_the_queue_has_room_once_the_client_reads() -> None:
    """A replay waits while a client's queue is half full, so that it never overflows."""

    async def test() -> None:
        client = Subscriber(Form.JSON, 10)
        for n in range(6):
            client.offer(Update(n, "ticks:A", tick("A", "1").payload))
        waiting = asyncio.create_task(client.room())
        done, _ = await asyncio.wait((waiting,), timeout=0.05)
        assert not done
        assert len(await client.next()) == 6
        await waiting
        assert not client.overflown

    asyncio.run(test())


def test_replays_of_a_replica_are_bounded() -> None:
    """A replay over the replica's bound is refused until another ends."""

    async def test() -> None:
        away = HistoryApi("http://127.0.0.1:9")
        replays, client = Replays(away, LADDER, 1), Subscriber(Form.JSON, 100)
        request = ReplayRequest(("ticks:A",), 0, MINUTE, 1.0, by_receipt=False)
        first = replays.start(request, client)
        with pytest.raises(RequestError, match="1 replays at most") as refused:
            replays.start(request, client)
        assert refused.value.code == "too_many_replays"
        first.stop()
        await until(lambda: first.is_over)
        assert orjson.loads((await client.next())[-1])["state"] == "stopped"
        replays.start(request, client).stop()
        with pytest.raises(RequestError, match="API_URL"):
            Replays(HistoryApi(""), LADDER, 1).start(request, client)
        await away.close()

    asyncio.run(test())


def test_all_timeframes_are_those_of_the_ladder() -> None:
    """`candles:*:A` is each configured timeframe once."""
    given = {"channels": ["candles:*:A", "candles:1m:A"], "from": 400_000_000, "to": 500_000_000}
    request = read_replay(given, lambda channel: channel, LADDER, 10**15)
    assert request.channels == ("candles:1m:A", "candles:5m:A")
    assert (request.from_us, request.speed) == (400_000_000_000_000, 1.0)


def test_a_replay_may_begin_some_time_ago() -> None:
    """`-1h` is an hour before now, as in the history API."""
    given = {"channels": ["ticks:A"], "from": "-1h", "to": "-30m"}
    request = read_replay(given, lambda channel: channel, LADDER, 10**15)
    assert (request.from_us, request.to_us) == (10**15 - 3_600_000_000, 10**15 - 1_800_000_000)


def test_a_replay_that_begins_after_its_end_is_refused() -> None:
    """A replay that begins after its end is refused with the field's name."""
    given = {"channels": ["ticks:A"], "from": "-1m", "to": "-2m"}
    with pytest.raises(RequestError, match="from: it must lie before `to`"):
        read_replay(given, lambda channel: channel, LADDER, 10**15)
