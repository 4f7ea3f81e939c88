"""candle-aggregate killed at an exact point, a process each time: what is left is taken up again.

After the kill the event is delivered again and the clock goes on; every candle is what its stored
ticks say, nothing is lost, nothing is doubled, nothing stays behind.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.functions.candle_aggregate.dying import Work
from tests.functions.candle_aggregate.truth import Row, with_id
from tests.functions.candle_aggregate.world import NOW_US, World

BEGIN_US = NOW_US - 86_400_000_000


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    world = World(valkey, database)
    world.reset()
    yield world
    world.close()


def rows(world: World, first: int, count: int) -> list[Row]:
    """A trade every twenty seconds, with an id every second time."""
    return [
        Row(
            "A",
            BEGIN_US + n * 20_000_000,
            *with_id(n if n % 2 else None),
            world.now_us,
            "udp-1",
            n,
            *(100 + n % 7, 1 + n % 3, n % 3),
        )
        for n in range(first, first + count)
    ]


def kill(
    world: World,
    servers: dict[str, str],
    directory: Path,
    *,
    apply: str = "",
    write: int | None = None,
    at: str = "",
) -> None:
    """Let a process of its own do it, and die there."""
    outbox = directory / "outbox"
    redis_url = servers["REDIS_URL"].rsplit("/", 1)[0] + "/1"
    work = Work(redis_url, world.database, str(outbox), world.now_us, world.sent, apply, write, at)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.functions.candle_aggregate.dying"],
        input=pickle.dumps(work),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    if outbox.exists():
        with outbox.open("rb") as file:
            while file.peek(1):
                world.take(pickle.load(file))


def at_rest(world: World) -> None:
    """What was taken for emitted, and what a consumer saw, is what the outbox holds."""
    world.settle()
    world.assert_right()


@pytest.mark.parametrize("at", ["before", "after", "mark"])
def test_killed_around_the_emission(
    world: World, servers: dict[str, str], tmp_path: Path, at: str
) -> None:
    """Between commit and emit, between emit and the note of it, and at that note."""
    event_id = world.send(rows(world, 0, 40))
    kill(world, servers, tmp_path, apply=event_id, at=at)
    assert world.client.zcard(world.store.keys.unpublished) > 0
    at_rest(world)


def test_killed_before_the_commit(world: World, servers: dict[str, str], tmp_path: Path) -> None:
    """The state was begun; of the event nothing is written."""
    world.apply(world.send(rows(world, 0, 10)))
    event_id = world.send(rows(world, 10, 30))
    kill(world, servers, tmp_path, apply=event_id, write=0)
    assert not world.store.are_applied([event_id])[0]
    at_rest(world)


@pytest.mark.parametrize("write", range(5))
def test_killed_in_the_middle_of_a_rebuild(
    world: World, servers: dict[str, str], tmp_path: Path, write: int
) -> None:
    """While it clears, fills, sets markers and begins; what is not finished is begun anew."""
    for n in range(4):
        event_id = world.send(rows(world, n * 10, 10))
        world.apply(event_id)
        world.persist_ticks(event_id)
    world.persist_ticks(world.send(rows(world, 40, 10)))  # stored, and never applied
    lost = world.send(rows(world, 50, 5))
    world.apply(lost)  # applied, and stored only after the loss
    world.client.flushdb()
    world.client.set("{0}:candle:1m:0:A", b"left by a rebuild that was cut off")
    again = world.send(rows(world, 55, 5))
    kill(world, servers, tmp_path, apply=again, write=write)
    at_rest(world)


@pytest.mark.parametrize("at", ["before", "after"])
def test_killed_in_the_middle_of_a_repair(
    world: World, servers: dict[str, str], tmp_path: Path, at: str
) -> None:
    """The candles are recomputed but not emitted, or emitted but still queued."""
    first = world.send(rows(world, 0, 40))
    for deliver in (world.apply, world.persist_ticks):
        deliver(first)
    world.settle()
    assert not world.live()
    late = Row("A", BEGIN_US + 5, *with_id(9_000), world.now_us, "udp-1", 9_000, 999, 5, 1)
    world.persist_ticks(world.send([late]))
    world.apply("e1")
    for place in range(len(world.outbox)):
        world.persist_outbox(place)
    assert world.sql.execute("SELECT count(*) FROM repairs").fetchone() != (0,)
    world.step(60)
    kill(world, servers, tmp_path, at=at)
    assert world.sql.execute("SELECT count(*) FROM repairs").fetchone() != (0,)
    at_rest(world)


@pytest.mark.parametrize("write", range(5))
def test_killed_in_the_middle_of_a_reconcile(
    world: World, servers: dict[str, str], tmp_path: Path, write: int
) -> None:
    """Before and after what was missed is applied, and before the markers are let go."""
    for n in range(3):
        event_id = world.send(rows(world, n * 10, 10))
        world.persist_ticks(event_id)
        if n == 0:
            world.apply(event_id)
    world.step(60 - world.now_us // 1_000_000 % 60 + 60)
    kill(world, servers, tmp_path, write=write)
    at_rest(world)
