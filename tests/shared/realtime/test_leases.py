"""Leases of watched instruments, over a real Valkey."""

from __future__ import annotations

import itertools
import string
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.client import Pipeline

from shared.market.shards import shard_of
from shared.realtime.leases import LEASE_MS, READ_EACH_S, RETRY_S, Leases, Watched
from shared.stores.redis import connect

SHARDS = 4


@pytest.mark.parametrize(
    ("leased", "timeframe", "instrument", "shown"),
    [
        ("candles:5m:A", "5m", "A", True),
        ("candles:5m:A", "1m", "A", False),
        ("candles:5m:A", "5m", "B", False),
        ("candles:*:A", "1h", "A", True),
        ("candles:5m:*", "5m", "B", True),
        ("candles:5m:*", "1m", "B", False),
        ("candles:*:*", "1d", "B", True),
        ("A", "1m", "A", False),
        ("*", "1m", "A", False),
    ],
)
def test_leases_select_what_is_shown(
    valkey: redis.Redis, leased: str, timeframe: str, instrument: str, shown: bool
) -> None:
    """A lease of an instrument shows its trades, a lease of a channel its candles."""
    Leases(valkey, SHARDS).renew([leased], 7)
    selection = Watched(valkey).of(shard_of(instrument, SHARDS))
    assert selection.shows(timeframe, instrument) is shown
    assert selection.selects(instrument) is (leased in ("*", instrument))


@pytest.mark.parametrize("name", ["candles", "candlestick", "candles:A", "ticks:A"])
def test_an_instrument_may_be_called_like_a_channel(valkey: redis.Redis, name: str) -> None:
    """A lease of an instrument whose name begins like a channel is seen in its own shard."""
    shards = 64
    Leases(valkey, shards).renew([name], 7)
    assert Watched(valkey).of(shard_of(name, shards)).selects(name)


def test_a_renewed_lease_keeps_its_position(valkey: redis.Redis) -> None:
    """A renewed lease keeps the stream position of its first acquisition, one for each name."""
    leases = Leases(valkey, SHARDS)
    assert leases.renew(["A", "candles:1m:A"], 7) == {"A": 7, "candles:1m:A": 7}
    assert leases.renew(["A", "candles:5m:A"], 9) == {"A": 7, "candles:5m:A": 9}


def test_threads_that_ask_for_different_shards_know_both(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that ends after another thread's keeps what that one read."""
    first, second = next(
        pair
        for pair in itertools.combinations(string.ascii_uppercase, 2)
        if shard_of(pair[0], SHARDS) != shard_of(pair[1], SHARDS)
    )
    Leases(valkey, SHARDS).renew([first, second], 1)
    watched = Watched(valkey, lambda: 0.0)
    pipeline = valkey.pipeline

    def overtaken(**options: bool) -> Pipeline:
        monkeypatch.setattr(valkey, "pipeline", pipeline)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(watched.of, shard_of(second, SHARDS)).result().selects(second)
        return pipeline(**options)

    monkeypatch.setattr(valkey, "pipeline", overtaken)
    assert watched.of(shard_of(first, SHARDS)).selects(first)
    watched._client = connect("redis://127.0.0.1:1")
    assert watched.of(shard_of(second, SHARDS)).selects(second)


def test_leases_stay_valid_while_redis_is_away(valkey: redis.Redis) -> None:
    """While Redis is away the leases that were read stay valid for their duration.

    The next read follows soon after one failure, and within RETRY_S after several.
    """
    now_s = 0.0
    Leases(valkey, SHARDS).renew(["A"], 1)
    shard = shard_of("A", SHARDS)
    nowhere = connect("redis://127.0.0.1:1")
    watched = Watched(valkey, lambda: now_s)
    assert watched.of(shard).selects("A")
    watched._client = nowhere
    now_s = READ_EACH_S
    assert watched.of(shard).selects("A")
    watched._client = valkey
    Leases(valkey, SHARDS).renew(["B"], 1)
    other = shard_of("B", SHARDS)
    assert not watched.of(other).selects("B")
    now_s += READ_EACH_S
    assert watched.of(other).selects("B")
    watched._client = nowhere
    for _ in range(8):
        now_s += RETRY_S
        watched.of(other)
    Leases(valkey, SHARDS).renew(["C"], 1)
    last = shard_of("C", SHARDS)
    watched._client = valkey
    assert not watched.of(last).selects("C")
    now_s += RETRY_S
    assert watched.of(last).selects("C")
    watched._client = nowhere
    for _ in range(8):
        now_s += RETRY_S
        watched.of(other)
    assert not watched.of(other)


def test_a_slow_redis_hides_no_trade_after_a_pause(valkey: redis.Redis) -> None:
    """A read that fails after a pause shows all names for one lease, old and new; then none."""
    now_s = 0.0
    shard, nowhere = shard_of("A", SHARDS), connect("redis://127.0.0.1:1")
    watched = Watched(nowhere, lambda: now_s)
    assert not watched.of(shard), "nothing is known yet"
    now_s += RETRY_S
    watched._client = valkey
    assert not watched.of(shard)
    watched._client = nowhere
    now_s += LEASE_MS / 1000
    selection = watched.of(shard)
    assert selection.selects("A")
    assert selection.shows("1m", "A")
    now_s += LEASE_MS / 1000 - RETRY_S
    assert watched.of(shard)
    now_s += RETRY_S
    assert not watched.of(shard)
    watched._client = valkey
    now_s += RETRY_S
    Leases(valkey, SHARDS).renew(["A"], 1)
    assert watched.of(shard).selects("A")
