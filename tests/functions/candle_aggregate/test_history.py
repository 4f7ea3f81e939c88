"""A venue's candles stand where trades are incomplete, and are replaced where they are complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import redis

from functions.candle_aggregate.corrections.venue_history import publish_history, settle_histories
from functions.candle_aggregate.job_context import JobContext
from shared.adapter.app import Emission
from shared.errors import PermanentError
from shared.reading.stored_candles import stored_candles
from shared.wire.candle import VENUE, Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_history import CandleHistory
from shared.wire.gaps import Gap, GapState
from tests.functions.candle_aggregate.replicas import Replica
from tests.functions.candle_aggregate.test_gaps import tell
from tests.functions.candle_aggregate.trades import BEGIN_US, SECOND, trade, trades
from tests.functions.candle_aggregate.truth import Row
from tests.functions.candle_aggregate.world import MINUTE, World
from tests.functions.history_query.cold import cold_market

PER_MINUTE = 3
"""Trades that `trades` makes in a minute."""


def kline(minute: int, rows: Sequence[Row] | None = None) -> Candle:
    """A venue's candle of a minute, from its trades; without rows from `trades`."""
    some = trades(PER_MINUTE * minute, PER_MINUTE) if rows is None else rows
    prices = [Decimal(row.price) for row in some]
    return Candle(
        *("A", "1m", BEGIN_US + minute * MINUTE),
        *(prices[0], max(prices), min(prices), prices[-1]),
        Decimal(sum(row.size for row in some)),
        sum((Decimal(row.price * row.size) for row in some), Decimal()),
        len(some),
        *(Decimal(0), Decimal(0)),
        *(BEGIN_US + minute * MINUTE, BEGIN_US + (minute + 1) * MINUTE - 1),
        closed=True,
    )


def history(
    candles: Iterable[Candle], from_minute: int, to_minute: int, *, follow: bool = True
) -> CandleHistory:
    some = list(candles)
    return CandleHistory(
        "A",
        BEGIN_US + from_minute * MINUTE,
        BEGIN_US + to_minute * MINUTE,
        follow,
        CandleColumns.of("1m", some),
    )


def publish(world: World, past: CandleHistory) -> None:
    """Deliver an event of history as the broker does; emissions wait for delivery."""
    again = CandleHistory.decode(past.encode())

    def work() -> Iterable[Emission]:
        return [publish_history(world.context, again)]

    assert world.deliver(work)


def minute_of(world: World, minute: int, timeframe: str = "1m") -> dict[str, Any]:
    return world.stored()["A", timeframe, BEGIN_US + minute * MINUTE]


def live_from(world: World, minute: int, minutes: int) -> None:
    """Let the trades of some minutes arrive as from a feed."""
    world.ship(trades(PER_MINUTE * minute, PER_MINUTE * minutes))


def totals(world: World, timeframe: str) -> dict[int, tuple[int, str]]:
    """Trades and origin of each candle, by start in minutes."""
    return {
        (start_us - BEGIN_US) // MINUTE: (row["trade_count"], row["origin"])
        for (_, name, start_us), row in world.stored().items()
        if name == timeframe
    }


def test_history_and_live_candles_meet_without_hole_or_double(world: World) -> None:
    """History of seven minutes and live candles meet exactly, also within a longer candle."""
    publish(world, history(map(kline, range(7)), 0, 7))
    world.deliver_all()
    live_from(world, 7, 5)
    world.settle()
    expected = dict.fromkeys(range(7), (PER_MINUTE, VENUE))
    expected |= dict.fromkeys(range(7, 12), (PER_MINUTE, "trades"))
    assert totals(world, "1m") == expected
    assert totals(world, "5m") == {0: (15, VENUE), 5: (15, VENUE), 10: (6, "trades")}
    assert not any(row["partial"] or not row["complete"] for row in world.stored().values())


def test_history_that_comes_after_the_first_ticks_is_the_same(world: World) -> None:
    """History that arrives after the first ticks completes the open longer candle."""
    live_from(world, 7, 4)
    world.deliver_all()
    assert ("A", "5m", BEGIN_US + 5 * MINUTE) in world.live()
    publish(world, history(map(kline, range(7)), 0, 7))
    world.settle()
    assert totals(world, "5m") == {0: (15, VENUE), 5: (15, VENUE), 10: (3, "trades")}
    assert not any(row["partial"] for row in world.stored().values())


def test_settled_history_outlives_a_redis_that_goes_back(world: World) -> None:
    """Settled once: a state from before it, whose longer candle lacks history, is made anew."""
    live_from(world, 0, 3)
    world.settle()
    live_from(world, 7, 2)
    world.deliver_all()
    publish(world, history(map(kline, range(3, 7)), 3, 7, follow=False))
    world.deliver_all()
    dump = world.keyspace()

    def settle() -> Iterable[Emission]:
        return settle_histories(world.context)

    assert world.deliver(settle)
    assert world.sql.execute("SELECT settled FROM candle_histories").fetchall() == [(True,)]
    world.go_back(dump)
    world.settle()
    assert totals(world, "5m") == {0: (15, VENUE), 5: (12, VENUE)}


@pytest.mark.parametrize("lost", [False, True])
def test_the_seam_minute_is_ours_in_full(world: World, lost: bool) -> None:
    """The minute of the seam is made of trades, since no trade came before the first."""
    publish(world, history(map(kline, range(2)), 0, 2))
    world.deliver_all()
    world.ship([trade(125, 500, 90), trade(150, 501, 91)])
    if lost:
        world.client.flushdb()
    world.ship([trade(185, 502, 92)])
    world.settle()
    assert totals(world, "1m") == {
        0: (3, VENUE), 1: (3, VENUE), 2: (2, "trades"), 3: (1, "trades"),
    }  # fmt: skip
    assert [minute_of(world, n)["partial"] for n in range(4)] == [False] * 4
    assert minute_of(world, 0, "5m")["trade_count"] == 9
    assert not minute_of(world, 0, "5m")["partial"]


def test_without_that_the_first_minute_of_ticks_stays_partial(world: World) -> None:
    """Without a seam the venue's candle stands in the first minute of ticks."""
    world.ship([trade(70, 500, 90), trade(100, 501, 91)])
    world.ship([trade(130, 502, 92)])
    world.settle()
    assert minute_of(world, 1)["partial"]
    publish(world, history(map(kline, range(2)), 0, 2, follow=False))
    world.settle()
    assert totals(world, "1m") == {0: (3, VENUE), 1: (3, VENUE), 2: (1, "trades")}
    world.ship([trade(80, 503, 93)])  # a late one: still incomplete
    world.settle()
    assert minute_of(world, 1)["origin"] == VENUE
    assert minute_of(world, 0, "5m")["trade_count"] == 7


def test_trades_that_are_known_in_full_replace_the_venues_candle(world: World) -> None:
    """A minute with complete trades replaces the venue's candle, also a differing one.

    Longer ones follow.
    """
    wrong = replace(kline(1), high=Decimal(999), trade_count=50)
    publish(world, history([kline(0), wrong, kline(2)], 0, 3))
    world.deliver_all()
    live_from(world, 3, 4)
    world.settle()
    before = minute_of(world, 1)
    assert (before["high"], before["origin"]) == (999, VENUE)
    assert minute_of(world, 0, "5m")["high"] == 999
    live_from(world, 0, 3)
    world.settle()
    after = minute_of(world, 1)
    assert (after["trade_count"], after["origin"]) == (3, "trades")
    assert after["revision"] > before["revision"]
    assert totals(world, "5m")[0] == (15, "trades")
    world.assert_right()


def test_trades_in_a_gap_do_not_replace_it_before_the_gap_is_filled(world: World) -> None:
    """In a gap the venue's candle stands until the gap is filled."""
    publish(world, history(map(kline, range(3)), 0, 3))
    world.deliver_all()
    live_from(world, 3, 4)
    world.settle()
    gap = Gap("A", "A", 0, 5, BEGIN_US, BEGIN_US + 2 * MINUTE - 1)
    tell(world, gap)
    world.ship(trades(0, 4))
    world.settle()
    assert totals(world, "1m")[1] == (3, VENUE)
    assert totals(world, "5m")[0] == (15, VENUE)
    world.ship(trades(4, 2))
    tell(world, replace(gap, state=GapState.FILLED))
    world.settle()
    assert totals(world, "1m") == {n: (3, VENUE if n == 2 else "trades") for n in range(7)}
    assert minute_of(world, 1)["complete"]


def test_that_trades_are_known_from_a_time_on_makes_their_first_candle_whole(world: World) -> None:
    """The first minute of fetched trades is complete once the seam says so."""
    publish(world, history(map(kline, range(3)), 0, 3))
    world.deliver_all()
    live_from(world, 3, 4)
    world.settle()
    late = [trade(70, 900, 90), trade(100, 901, 91), trade(130, 902, 92)]
    world.ship(late)
    world.settle()
    assert totals(world, "1m")[1] == (3, VENUE)
    publish(world, history([], 0, 1))
    world.settle()
    assert totals(world, "1m")[1] == (2, "trades")
    assert totals(world, "1m")[2] == (1, "trades")
    assert totals(world, "5m")[0] == (12, VENUE)


def test_candles_of_trades_stand_before_the_venues(world: World) -> None:
    """Complete or live candles of trades are not replaced by the venue's."""
    world.ship(trades(0, 12))
    world.deliver_all()
    wrong = [replace(kline(n), close=Decimal(50), low=Decimal(50)) for n in range(4)]
    publish(world, history(wrong, 0, 4, follow=False))
    world.settle()
    publish(world, history(wrong, 0, 4, follow=False))
    world.settle()
    world.assert_right()


def test_the_venues_candle_stands_where_the_trades_of_a_gap_were_cancelled(world: World) -> None:
    """The venue's candle is taken for a gap's minute also when its only trade was cancelled."""
    only = trade(70, 900, 90)
    world.ship([*trades(0, PER_MINUTE), only, *trades(6, 20)])
    tell(world, Gap("A", "A", 0, 5, BEGIN_US + MINUTE, BEGIN_US + 2 * MINUTE - 1))
    world.settle()
    world.bust(only)
    world.settle()
    withdrawn = minute_of(world, 1)
    assert (withdrawn["trade_count"], withdrawn["complete"]) == (0, False)
    publish(world, history([kline(1)], 1, 2, follow=False))
    world.settle()
    assert totals(world, "1m")[1] == (3, VENUE)
    assert totals(world, "5m")[0] == (15, VENUE)


def test_the_venues_candle_that_was_withdrawn_is_published_again(world: World) -> None:
    """A venue's candle that a cancel of its only known trade withdrew comes back with history."""
    past = history(map(kline, range(3)), 0, 3)
    publish(world, past)
    world.deliver_all()
    live_from(world, 3, 4)
    world.settle()
    tell(world, Gap("A", "A", 0, 5, BEGIN_US, BEGIN_US + 2 * MINUTE - 1))
    only = trade(70, 900, 90)
    world.ship([only])
    world.settle()
    world.bust(only)
    world.settle()
    assert totals(world, "1m")[1] == (0, VENUE)
    publish(world, past)
    world.settle()
    assert totals(world, "1m")[1] == (3, VENUE)


def test_an_event_that_comes_twice_publishes_once(world: World) -> None:
    """A repeated event publishes nothing after its candles are stored, and the same before."""
    past = history(map(kline, range(6)), 0, 6)
    publish(world, past)
    publish(world, past)
    world.deliver_all()
    world.settle()
    before = world.stored()
    publish(world, past)
    world.settle()
    assert world.stored() == before
    assert totals(world, "5m")[0] == (15, VENUE)


def test_a_clock_that_went_back_settles_no_history_before_it_is_stored(world: World) -> None:
    """A venue's corrected candle is in the longer one, though its predecessor is of a later clock.

    The longer candle at the edge of the range is folded only once the correction is stored.
    """
    publish(world, history(map(kline, range(7)), 0, 7))
    world.deliver_all()
    world.settle()
    world.now_us -= 3_600 * SECOND
    world.restart()
    corrected = kline(6, trades(PER_MINUTE * 6, PER_MINUTE - 1))
    publish(world, history([*map(kline, range(6)), corrected], 0, 7))
    for _ in range(3):
        world.step(5)
        world.tick_clock()
    world.deliver_all()
    world.settle()
    assert minute_of(world, 6)["trade_count"] == PER_MINUTE - 1
    assert minute_of(world, 5, "5m")["trade_count"] == 2 * PER_MINUTE - 1


def test_ranges_in_any_order_make_the_same_longer_candles(world: World) -> None:
    """Two ranges that meet within a longer candle give the same one in any order."""
    publish(world, history(map(kline, range(3, 8)), 3, 8))
    publish(world, history(map(kline, range(3)), 0, 3))
    world.settle()
    assert totals(world, "5m") == {0: (15, VENUE), 5: (9, VENUE)}


def test_rules_of_alerts_count_from_the_end_of_history(world: World) -> None:
    """History is evaluated without alerts, which begin at its end."""
    world.sql.execute(
        "INSERT INTO alert_rules (id, rule, instrument, timeframe, after_us)"
        " VALUES ('history', 'A close > 1', 'A', '1m', -1)"
    )
    try:
        publish(world, history(map(kline, range(3)), 0, 3))
        row = world.sql.execute("SELECT after_us FROM alert_rules WHERE id = 'history'").fetchone()
        assert row == (BEGIN_US + 3 * MINUTE - 1,)
    finally:
        world.sql.execute("DELETE FROM alert_rules WHERE id = 'history'")


@pytest.mark.parametrize(
    ("past", "reason"),
    [
        (history([kline(1)], 2, 3), "leaves the range"),
        (history([kline(1), kline(1)], 0, 3), "twice"),
        (history([replace(kline(1), instrument="B")], 0, 3), "others than A"),
        (history([kline(1)], 3, 3), "not before"),
    ],
)
def test_what_cannot_be_a_history_is_refused(past: CandleHistory, reason: str) -> None:
    """An invalid history is refused with the reason, and nothing is stored."""
    with pytest.raises(PermanentError, match=reason):
        CandleHistory.decode(past.encode())


def test_candles_of_another_base_are_refused(world: World) -> None:
    """Candles of another base timeframe are refused with both names."""
    past = history([], 0, 5)._replace(candles=CandleColumns.of("5m", []))
    with pytest.raises(PermanentError, match="the base timeframe here is 1m"):
        publish_history(world.context, past)


def test_history_beside_candles_that_are_ahead_of_the_clock_is_stored_first(world: World) -> None:
    """Longer candles wait for the history, also beside revisions that are ahead of the clock."""
    world.now_us += 3_600_000_000
    live_from(world, 5, 8)
    world.settle()
    world.now_us -= 7_200_000_000
    world.restart()
    publish(world, history(map(kline, range(2, 12)), 2, 12, follow=False))
    world.step(2)
    world.now_us -= world.now_us % 60_000_000
    assert world.tick_clock()
    assert world.sql.execute("SELECT settled FROM candle_histories").fetchall() == [(False,)]
    world.settle()
    assert totals(world, "5m")[0] == (9, VENUE)


def test_history_outranks_candles_of_the_lake_that_are_ahead_of_the_clock(
    servers: dict[str, str], database: str, valkey: redis.Redis
) -> None:
    """The venue's candle is published above one of the lake whose revision is ahead."""
    with cold_market(servers, database, valkey, 120) as market:
        market.house.replica.engine.close()
        postgres, cold = market.lake.postgres, market.lake.cold
        start_us = min(market.ticks).time_us // MINUTE * MINUTE
        place = ("1m", [market.symbol], [start_us])
        with postgres.connection() as connection:
            (before,) = stored_candles(connection, *place, cold).candles()
        assert before.partial
        theirs = replace(kline(0), instrument=market.symbol, start_us=start_us)
        past = CandleHistory(
            *(market.symbol, start_us, start_us + MINUTE, False, CandleColumns.of("1m", [theirs]))
        )
        valkey.flushdb()  # candles of the lake are not live
        replica = Replica(valkey, "b", market.house.replica.engine.rules, postgres=postgres)
        replica.now_us = before.revision - 3_600_000_000
        replica.emit([publish_history(JobContext(replica.engine, postgres, cold), past)])
        replica.engine.close()
    (after,) = [each for each in replica.emitted if each.timeframe == "1m"]
    assert after.origin == VENUE
    assert after.revision > before.revision
