"""Storage behind the live state: what is lost, late or repeated ends as the stored ticks say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.functions.candle_aggregate.truth import Row, with_id
from tests.functions.candle_aggregate.world import NOW_US, World

BEGIN_US = NOW_US // 86_400_000_000 * 86_400_000_000 - 86_400_000_000


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    world = World(valkey, database)
    world.reset()
    yield world
    world.close()


def trades(
    first: int, count: int, *, name: str = "A", every_s: int = 20, begin_us: int = BEGIN_US
) -> list[Row]:
    """Trades at even distances, with ids."""
    return [
        Row(
            *(name, begin_us + n * every_s * 1_000_000, *with_id(n), NOW_US + n, "udp-1", n),
            *(100 + n % 7, 1 + n % 3, n % 3),
        )
        for n in range(first, first + count)
    ]


def finish(world: World) -> None:
    world.settle()
    world.assert_right()


def test_what_is_in_order_is_right(world: World) -> None:
    """The plain case: two instruments, a quarter of an hour."""
    world.ship(trades(0, 40) + trades(0, 40, name="B"))
    world.ship(trades(40, 6))
    finish(world)


def test_a_late_tick_is_repaired_from_storage(world: World) -> None:
    """Its candle has left the state: recomputed once its ticks are stored, and what holds it."""
    world.ship(trades(0, 40))
    finish(world)
    late = world.send(trades(1_000, 1, begin_us=BEGIN_US - 20 * 1_000 * 1_000_000 + 5_000_000))
    assert world.apply(late)
    finish(world)


def test_a_lost_state_is_made_anew(world: World) -> None:
    """Flushed in the middle of an interval, some of it not stored yet."""
    world.ship(trades(0, 40))
    slow = world.send(trades(40, 2))
    assert world.apply(slow)
    world.client.flushdb()
    world.ship(trades(42, 3))
    finish(world)
