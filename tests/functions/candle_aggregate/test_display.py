"""Display of a step: watched instruments only, open candles rate-limited, the newest state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import redis

from functions.candle_aggregate.display import Display
from functions.candle_aggregate.engine import Applied
from shared.adapter.event import Event, OutgoingEvent
from shared.market.shards import shard_of
from shared.market.timeframes import parse_ladder
from shared.realtime.leases import ALL, Leases, Watched
from shared.realtime.readers import LiveState
from shared.wire import busts, events
from shared.wire.busts import Bust
from shared.wire.candle import Candle
from shared.wire.candle_columns import decode_batch
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_SCANNER
from tests.functions.candle_aggregate.reference import Tick, as_columns
from tests.functions.candle_aggregate.replicas import MINUTE, RULES, Replica
from tests.functions.candle_aggregate.trades import trade
from tests.functions.candle_aggregate.world import World

BEGIN_US = 1_800_000_000_000_000 // (5 * MINUTE) * 5 * MINUTE
EVERY_US = 100_000


@pytest.fixture
def replica(valkey: redis.Redis) -> Iterator[Replica]:
    replica = Replica(valkey, "a", RULES, Display(Watched(valkey), EVERY_US))
    yield replica
    replica.engine.close()


def tick(name: str, second: int, price: int = 100) -> Tick:
    return Tick(name, BEGIN_US + second * 1_000_000, second + 1, price, 1_000, 1)


def shard(name: str) -> int:
    return shard_of(name, RULES.shards)


def shown(applied: list[Applied], timeframe: str) -> list[Candle]:
    return [
        candle
        for each in applied
        for out in each.show
        if out.type == events.CANDLES
        for candle in decode_batch(decompress(out.body))
        if candle.timeframe == timeframe
    ]


def test_nothing_is_shown_where_nobody_watches(replica: Replica) -> None:
    """Without watchers no event is emitted for display."""
    (applied,) = replica.apply(e0=as_columns([tick("A", 0)]))
    assert applied.show == []


def test_only_what_is_watched_is_shown(valkey: redis.Redis, replica: Replica) -> None:
    """Only the open candles of watched instruments are shown; `*` is every instrument."""
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    applied = replica.apply(e0=as_columns([tick("A", 0), tick("B", 0)]))
    assert [each.instrument for each in shown(applied, "1m")] == ["A"]
    Leases(valkey, RULES.shards).renew([ALL, "candles:*:*"], 1)
    other = Replica(valkey, "b", RULES, Display(Watched(valkey), EVERY_US))
    replica.engine.close()
    applied = other.apply(e1=as_columns([tick("A", 1), tick("B", 1)]))
    other.engine.close()
    assert sorted(each.instrument for each in shown(applied, "1m")) == ["A", "B"]


def test_repaired_candles_are_shown_where_they_are_watched(
    valkey: redis.Redis, replica: Replica
) -> None:
    """Repaired candles are shown for watched instruments and timeframes only."""
    applied = replica.apply(e0=as_columns([tick(n, s) for n in "AB" for s in (0, 60, 600)]))
    emitted = [output for each in applied for some in each.emissions for output in some.emit]
    display = Display(Watched(valkey), EVERY_US)
    assert display.repaired(emitted, RULES.shards) == []
    Leases(valkey, RULES.shards).renew(["A", "candles:1m:A"], 1)
    display = Display(Watched(valkey), EVERY_US)
    outputs = display.repaired(emitted, RULES.shards)
    found = [each for out in outputs for each in decode_batch(decompress(out.body))]
    assert {(each.instrument, each.timeframe) for each in found} == {("A", "1m")}
    assert [each.start_us for each in found][:2] == [BEGIN_US, BEGIN_US + MINUTE]


def test_busts_of_watched_instruments_are_shown(valkey: redis.Redis) -> None:
    """Only busts of watched instruments are shown, and no candle is emitted for them."""
    Leases(valkey, RULES.shards).renew(["A"], 1)
    display = Display(Watched(valkey), EVERY_US)
    some = [Bust(name, None, "7", 0, False, "", "", BEGIN_US, 1, b"{}") for name in "AB"]
    body = busts.encode("udp-1", FORMAT_SCANNER, some)
    (out,) = display.busts(Event("e0", events.BUSTS, "/test", {}, body), RULES.shards)
    assert (out.id, out.type) == ("e0/display", events.BUSTS)
    assert busts.decode(decompress(out.body)) == ("udp-1", FORMAT_SCANNER, some[:1])
    other = busts.encode("udp-1", FORMAT_SCANNER, some[1:])
    assert display.busts(Event("e1", events.BUSTS, "/test", {}, other), RULES.shards) == []


def test_an_open_candle_is_shown_at_most_so_often(valkey: redis.Redis, replica: Replica) -> None:
    """An open candle is shown at a limited rate, always with the newest state."""
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    counts = []
    for second, later_us in enumerate((0, 40_000, 40_000, 40_000, 100_000)):
        replica.now_us += later_us
        applied = replica.apply(**{f"e{second}": as_columns([tick("A", second)])})
        counts.append([each.trade_count for each in shown(applied, "1m")])
    assert counts == [[1], [], [], [4], [5]]


def test_a_clock_that_is_set_back_hides_no_open_candle(
    valkey: redis.Redis, replica: Replica
) -> None:
    """Open candles are still shown at once when the clock is set back an hour."""
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    counts = []
    for second, later_us in enumerate((0, -3_600_000_000, EVERY_US // 2)):
        replica.now_us += later_us
        applied = replica.apply(**{f"e{second}": as_columns([tick("A", second)])})
        counts.append([each.trade_count for each in shown(applied, "1m")])
    assert counts == [[1], [2], []]
    replica.now_us -= 3_600_000_000
    last = Applied(show=list(replica.engine.show().show))
    assert [each.trade_count for each in shown([last], "1m")] == [3]


def test_the_last_change_of_an_open_candle_is_shown_though_no_tick_follows(
    valkey: redis.Redis, replica: Replica
) -> None:
    """The clock shows the last change of an open candle once, without another tick."""
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    first = replica.apply(e0=as_columns([tick("A", 0)]))
    assert [each.trade_count for each in shown(first, "1m")] == [1]
    replica.now_us += EVERY_US // 2
    assert shown(replica.apply(e1=as_columns([tick("A", 1)])), "1m") == []
    assert replica.engine.show().show == []
    replica.now_us += EVERY_US
    last = Applied(show=list(replica.engine.show().show))
    assert [each.trade_count for each in shown([last], "1m")] == [2]
    assert replica.engine.show().show == []


def test_a_step_of_unwatched_shards_leaves_what_others_still_show(
    valkey: redis.Redis, replica: Replica
) -> None:
    """A step of unwatched shards does not drop another's pending last change."""
    other = next(f"B{n}" for n in range(99) if shard(f"B{n}") != shard("A"))
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    replica.apply(e0=as_columns([tick("A", 0)]))
    replica.apply(e1=as_columns([tick("A", 1)]))
    replica.apply(e2=as_columns([tick(other, 2)]))
    replica.now_us += EVERY_US
    last = Applied(show=list(replica.engine.show().show))
    assert [each.trade_count for each in shown([last], "1m")] == [2]


def test_a_longer_open_candle_is_its_fold_and_what_is_open(
    valkey: redis.Redis, replica: Replica
) -> None:
    """A longer open candle is the fold of closed minutes and the open one."""
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    replica.apply(e0=as_columns([tick("A", 1, 100), tick("A", 50, 90)]))
    replica.now_us += 2 * EVERY_US
    applied = replica.apply(e1=as_columns([tick("A", 70, 120)]))
    (closed, opened) = sorted(shown(applied, "1m"), key=lambda each: each.start_us)
    assert (closed.closed, closed.trade_count) == (True, 2)
    assert (opened.closed, opened.trade_count) == (False, 1)
    (five,) = shown(applied, "5m")
    assert (five.closed, five.trade_count) == (False, 3)
    assert [str(each) for each in (five.open, five.high, five.low, five.close)] == [
        *("1", "1.2", "0.9", "1.2"),
    ]


def test_open_candles_are_shown_of_watched_timeframes(
    valkey: redis.Redis, replica: Replica
) -> None:
    """Open candles are shown in watched timeframes only, at once to a new watcher."""
    Leases(valkey, RULES.shards).renew(["A"], 1)
    (alone,) = replica.apply(e0=as_columns([tick("A", 0)]))
    assert alone.show == []
    Leases(valkey, RULES.shards).renew(["A", "candles:5m:A"], 1)
    other = Replica(valkey, "b", RULES, Display(Watched(valkey), EVERY_US))
    replica.engine.close()
    applied = other.apply(e1=as_columns([tick("A", 1)]))
    other.engine.close()
    assert shown(applied, "1m") == []
    assert [each.trade_count for each in shown(applied, "5m")] == [2]


def test_an_open_longer_candle_is_shown_after_a_cancel(
    valkey: redis.Redis, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open longer candle without an open base candle is shown as a cancelled trade left it."""
    world.restart(replace(world.rules, ladder=parse_ladder("1m,1d")))
    high = trade(86_430, 2, 900)
    world.ship([trade(86_400, 1, 100), high, trade(86_440, 3, 200)])
    world.settle()
    Leases(valkey, world.rules.shards).renew(["A", "candles:*:A"], 1)
    display = world.engine.display = Display(Watched(valkey), EVERY_US)  # read once, at the cancel
    outputs: list[OutgoingEvent] = []
    step_events = display.events

    def noted(*arguments: Any) -> list[OutgoingEvent]:
        outputs.extend(step_events(*arguments))
        return []

    monkeypatch.setattr(display, "events", noted)
    world.bust(high)
    world.step(2)
    assert world.tick_clock()
    world.step(2)
    world.engine.show()
    days = [
        candle
        for out in outputs
        for candle in decode_batch(decompress(out.body))
        if candle.timeframe == "1d"
    ]
    assert [(each.trade_count, each.high, each.closed) for each in days] == [(2, Decimal(2), False)]


def test_a_late_trade_joins_the_closed_longer_candle(valkey: redis.Redis, replica: Replica) -> None:
    """A trade in an open minute of a closed longer candle is shown with the rest of that one.

    As history shows it.
    """
    Leases(valkey, RULES.shards).renew(["A", "candles:*:A"], 1)
    replica.apply(e0=as_columns([tick("A", 130), tick("A", 140, 90)]))
    replica.engine.step(
        range(RULES.shards),
        lambda leases, now_us: replica.engine.steps.close_quiet(
            leases, BEGIN_US + 5 * MINUTE, now_us, now_us
        ),
    )
    replica.now_us += EVERY_US
    applied = replica.apply(e1=as_columns([tick("A", 290, 120)]))
    (minute,) = shown(applied, "1m")
    assert (minute.start_us, minute.closed) == (BEGIN_US + 4 * MINUTE, False)
    (five,) = shown(applied, "5m")
    (stored,) = (
        LiveState(valkey, RULES.shards, RULES.ladder)
        .candles_of(["A"], RULES.ladder[1], BEGIN_US, BEGIN_US + 5 * MINUTE)
        .candles()
    )
    assert (five.closed, five.trade_count, five.revision) == (True, 3, stored.revision)
    assert five.numbers == stored.numbers
