"""Ticks into Redis: any order, any repetition and any racing workers end in the same candles."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.candle_aggregate.apply import TickEvent, apply_events
from functions.candle_aggregate.clock import close_quiet, unconfirmed
from functions.candle_aggregate.merge import Applied
from functions.candle_aggregate.publish import publication
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.store import Store
from shared.candle import Candle, CandleState
from shared.candle_columns import decode_batch
from shared.compression import decompress
from shared.errors import TransientError
from shared.state import Keys, unpack
from shared.ticks import Ticks
from shared.timeframes import parse_ladder
from tests.functions.candle_aggregate.reference import Tick, as_columns, reference_candles
from tests.functions.candle_aggregate.states import begin_state
from tests.functions.candle_aggregate.test_kernel import fields_of

MINUTE = 60_000_000
RULES = Rules(parse_ladder("1m,5m"), allowed_lateness_us=0, idle_us=5_000_000, marker_ms=60_000)
NOW_US = 1_800_000_000_000_000
EPOCH = 3


@pytest.fixture
def store(valkey: redis.Redis) -> Store:
    store = Store(valkey, Keys(0))
    begin_state(store, EPOCH)
    return store


def apply_ticks(
    store: Store, rules: Rules, epoch: int, event_id: str, ticks: Ticks, now_us: int
) -> Applied | None:
    """Apply one event; None when it was applied before."""
    applied, repeated = apply_events(store, rules, epoch, [TickEvent(event_id, ticks)], now_us)
    return None if repeated else applied


def ticks_between(first: int, count: int, step_us: int = 7_000_000, name: str = "A") -> list[Tick]:
    return [
        Tick(name, i * step_us, i, 100 + (i * 37) % 50, 1 + i % 5, i % 3)
        for i in range(first, first + count)
    ]


def all_candles(valkey: redis.Redis) -> dict[tuple[str, str, int], Candle]:
    found = {}
    for key in valkey.scan_iter("{0}:candle:*"):
        candle = CandleState.decode(unpack(valkey.get(key))[1]).candle  # type: ignore[arg-type]
        found[candle.instrument, candle.timeframe, candle.start_us] = candle
    return found


def assert_equals_reference(valkey: redis.Redis, ticks: Sequence[Tick]) -> None:
    candles = all_candles(valkey)
    for timeframe in RULES.ladder:
        actual = {
            (name, start): fields_of(candle)
            for (name, tf, start), candle in candles.items()
            if tf == timeframe.name
        }
        assert actual == reference_candles(ticks, timeframe.length_us)


def test_an_event_that_comes_twice_counts_once(store: Store, valkey: redis.Redis) -> None:
    """The second delivery finds the marker and changes nothing, not even a revision."""
    columns = as_columns(ticks_between(0, 30))
    assert apply_ticks(store, RULES, EPOCH, "event-1", columns, NOW_US) is not None
    before = all_candles(valkey)
    assert apply_ticks(store, RULES, EPOCH, "event-1", columns, NOW_US) is None
    assert all_candles(valkey) == before


def test_a_trade_that_comes_in_another_event_counts_once(store: Store, valkey: redis.Redis) -> None:
    """A feed that reconnects sends trades again, in batches of its own."""
    ticks = ticks_between(0, 30)
    apply_ticks(store, RULES, EPOCH, "event-1", as_columns(ticks[:20]), NOW_US)
    apply_ticks(store, RULES, EPOCH, "event-2", as_columns(ticks[10:], "udp-2"), NOW_US)
    assert_equals_reference(valkey, ticks)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_same_candles(
    store: Store, valkey: redis.Redis, random: random.Random
) -> None:
    """Batches in any order, some of them twice, equal the reference over all ticks."""
    valkey.flushdb()
    begin_state(store, EPOCH)
    ticks = ticks_between(0, 40) + ticks_between(0, 20, 11_000_000, "B")
    random.shuffle(ticks)
    cuts = sorted(random.sample(range(1, len(ticks)), 5))
    batches = [ticks[a:b] for a, b in zip([0, *cuts], [*cuts, len(ticks)], strict=True)]
    deliveries = [*enumerate(batches), *random.sample(list(enumerate(batches)), 3)]
    random.shuffle(deliveries)
    for n, batch in deliveries:
        apply_ticks(store, RULES, EPOCH, f"event-{n}", as_columns(batch), NOW_US)
    assert_equals_reference(valkey, ticks)


def test_racing_workers_lose_nothing(store: Store, valkey: redis.Redis) -> None:
    """Four workers on one instrument conflict, try again, and end in the reference."""
    ticks = ticks_between(0, 400, 900_000)
    batches = [ticks[i::20] for i in range(20)]

    def work(n: int) -> None:
        columns = as_columns(batches[n % 20])
        for _ in range(20):
            try:
                apply_ticks(store, RULES, EPOCH, f"event-{n % 20}", columns, NOW_US)
                return
            except TransientError:
                continue  # as the channel would deliver it again
        raise AssertionError("never applied")

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(work, range(30)))
    assert_equals_reference(valkey, ticks)


def test_the_watermark_closes_a_candle_and_a_late_tick_corrects_it(
    store: Store, valkey: redis.Redis
) -> None:
    """Closed once the watermark passes its end; a later tick for it makes a higher revision."""
    apply_ticks(store, RULES, EPOCH, "e1", as_columns([Tick("A", 5, 1, 100, 1, 1)]), NOW_US)
    assert not all_candles(valkey)["A", "1m", 0].closed
    closed = apply_ticks(
        store, RULES, EPOCH, "e2", as_columns([Tick("A", MINUTE, 2, 100, 1, 1)]), NOW_US
    )
    assert closed is not None
    (first,) = [s.candle for s in closed.closed.values()]
    assert (first.start_us, first.closed, first.trade_count) == (0, True, 1)
    assert first.revision >> 32 == EPOCH
    corrected = apply_ticks(
        store, RULES, EPOCH, "e3", as_columns([Tick("A", 9, 3, 250, 1, 1)]), NOW_US
    )
    assert corrected is not None
    (second,) = [s.candle for s in corrected.closed.values()]
    assert (second.start_us, second.closed, second.trade_count) == (0, True, 2)
    assert second.revision > first.revision
    assert second.high == second.close


def test_what_was_not_confirmed_is_emitted_again(store: Store) -> None:
    """Cut off between commit and emit, a candle waits; once confirmed it does not."""
    ticks = [Tick("A", 5, 1, 100, 1, 1), Tick("A", MINUTE, 2, 100, 1, 1)]
    applied = apply_ticks(store, RULES, EPOCH, "e1", as_columns(ticks), NOW_US)
    assert applied
    closed = applied.closed
    assert unconfirmed(store, NOW_US) == {}  # its own delivery is still at it
    assert unconfirmed(store, NOW_US + 6_000_000) == closed
    outcome = publication(store, closed)
    (event,) = outcome.emit
    assert [c.start_us for c in decode_batch(decompress(event.body))] == [0]
    assert outcome.after_emit is not None
    outcome.after_emit()
    assert unconfirmed(store, NOW_US + 6_000_000) == {}


def test_a_confirmation_of_an_older_revision_confirms_nothing(store: Store) -> None:
    """A candle that changed while it was being emitted is emitted again."""
    ticks = [Tick("A", 5, 1, 100, 1, 1), Tick("A", MINUTE, 2, 100, 1, 1)]
    first = apply_ticks(store, RULES, EPOCH, "e1", as_columns(ticks), NOW_US)
    assert first
    outcome = publication(store, first.closed)
    second = apply_ticks(
        store, RULES, EPOCH, "e2", as_columns([Tick("A", 9, 3, 250, 1, 1)]), NOW_US
    )
    assert outcome.after_emit is not None
    outcome.after_emit()
    assert second
    assert unconfirmed(store, NOW_US + 6_000_000) == second.closed


def test_the_clock_closes_the_candles_of_a_quiet_instrument(
    store: Store, valkey: redis.Redis
) -> None:
    """Not while ticks come, however old they are; then once, with every timeframe that is over."""
    apply_ticks(store, RULES, EPOCH, "e1", as_columns([Tick("A", 5, 1, 100, 1, 1)]), NOW_US)
    assert close_quiet(store, RULES, EPOCH, NOW_US + 1_000_000) == {}
    closed = close_quiet(store, RULES, EPOCH, NOW_US + 6_000_000)
    assert {s.candle.timeframe for s in closed.values()} == {"1m", "5m"}
    assert all(c.closed for c in all_candles(valkey).values())
    assert close_quiet(store, RULES, EPOCH, NOW_US + 7_000_000) == {}


def test_a_lost_state_is_not_begun_anew(store: Store, valkey: redis.Redis) -> None:
    """An event meets another epoch, or none: it comes again, and nothing is written."""
    valkey.flushdb()
    with pytest.raises(TransientError, match="rebuilt"):
        apply_ticks(store, RULES, EPOCH, "e1", as_columns(ticks_between(0, 3)), NOW_US)
    assert valkey.dbsize() == 0


def test_redis_away_is_a_transient_error() -> None:
    """The channel delivers the event again."""
    away = Store(redis.Redis(port=1), Keys(0))
    with pytest.raises(TransientError, match="Redis is away"):
        apply_ticks(away, RULES, EPOCH, "e1", as_columns(ticks_between(0, 3)), NOW_US)
