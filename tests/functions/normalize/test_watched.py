"""Normalize shows the trades of watched instruments, and no others."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from functions.normalize.handler import Normalize
from shared.adapter.app import Outcome
from shared.adapter.event import Event, OutgoingEvent
from shared.inputs.clock import ClockRule
from shared.realtime.leases import ALL, READ_EACH_S, Leases, Watched, key
from shared.stores.redis import connect
from shared.wire import events
from shared.wire.compression import decompress
from shared.wire.raw_batch import FORMAT_CSV, RawBatch
from shared.wire.ticks import Ticks

SHARDS = 4
NOW_US = 1_800_000_000_000_000
LINES = ("A,1.5,1", "B,2,1", "A,1.25,3", "C,7,1", "WIDE,12.000000000000000001,1")


def normalized(valkey: redis.Redis, watched: Watched | None = None) -> Outcome:
    body = "\n".join(LINES).encode()
    batch = RawBatch.of(FORMAT_CSV, "udp-1", 0, [body], NOW_US)
    event = Event("u-1", events.RAW, "/test", {}, batch.encode())
    return Normalize(ClockRule(5_000_000), SHARDS, watched=watched or Watched(valkey))(event)


def screens(outcome: Outcome) -> Sequence[OutgoingEvent]:
    """The events for screens: those of the outcome that follows where leases had to be read."""
    further = outcome.after_emit and outcome.after_emit()
    return further.show if further else outcome.show


def shown(outcome: Outcome) -> dict[str, list[int]]:
    """Prices as mantissas, by instrument."""
    sent = screens(outcome)
    assert {out.type for out in sent} <= {events.TICKS}
    batches = [Ticks.decode(decompress(out.body)) for out in sent]
    return {e.name: ticks.price[rows].tolist() for ticks in batches for e, rows in ticks.runs()}


def test_trades_of_watched_instruments_are_shown(valkey: redis.Redis) -> None:
    """All trades of watched instruments are shown, and emitted events do not change."""
    alone = normalized(valkey)
    assert screens(alone) == []
    Leases(valkey, SHARDS).renew(["A", "WIDE"], 1)
    outcome = normalized(valkey)
    assert shown(outcome) == {"A": [150, 125], "WIDE": [12 * 10**18 + 1]}
    assert [out.id for out in outcome.emit] == [out.id for out in alone.emit]
    assert [out.body for out in outcome.emit] == [out.body for out in alone.emit]
    assert len({out.id for out in [*outcome.emit, *screens(outcome)]}) == 4


def test_a_wildcard_shows_every_instrument(valkey: redis.Redis) -> None:
    """The wildcard `*` shows every instrument."""
    Leases(valkey, SHARDS).renew([ALL], 1)
    assert shown(normalized(valkey)).keys() == {"A", "B", "C", "WIDE"}


def test_redis_is_asked_only_after_the_ticks_are_emitted(valkey: redis.Redis) -> None:
    """Leases are read once the outputs are emitted; fresh ones need no second step."""
    Leases(valkey, SHARDS).renew(["A"], 1)
    watched = Watched(valkey)
    first = normalized(valkey, watched)
    assert (first.show, len(first.emit)) == ((), 2)
    assert screens(first)
    second = normalized(valkey, watched)
    assert second.after_emit is None
    assert shown(second) == shown(first) == {"A": [150, 125]}


def test_fresh_leases_serve_the_whole_event(valkey: redis.Redis) -> None:
    """Leases that are fresh as an event begins serve all of it: Redis is not read meanwhile."""
    Leases(valkey, SHARDS).renew(["A", "WIDE"], 1)
    watched = Watched(valkey, lambda: 0.0)
    watched.all_of(range(SHARDS))
    valkey.delete(*map(key, range(SHARDS)))
    times = iter([READ_EACH_S - 0.001])
    watched._clock = lambda: next(times, READ_EACH_S)
    outcome = normalized(valkey, watched)
    assert outcome.after_emit is None
    assert shown(outcome).keys() == {"A", "WIDE"}


def test_without_redis_all_is_emitted() -> None:
    """Without Redis nothing is shown, and all events are emitted."""
    outcome = normalized(connect("redis://127.0.0.1:1"))
    assert screens(outcome) == []
    assert len(outcome.emit) == 2
