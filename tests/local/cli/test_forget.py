"""`kandle forget` over real stores that candle-aggregate and persist have written."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from typer.testing import CliRunner, Result

from functions.candle_aggregate.maintenance.idle_instruments import move_unused
from local.cli.commands import forget
from local.errors import CliError
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from shared.realtime.pattern_series import member, series_key, used_key
from tests.functions.candle_aggregate.trades import trades
from tests.functions.candle_aggregate.world import RULES, World

TIMES = "2027-01-14T00:00:00Z to 2027-01-14T00:03:00Z"


@pytest.fixture
def world(
    valkey: redis.Redis,
    servers: dict[str, str],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Two instruments with some stored minutes, one with a quote."""
    monkeypatch.setenv("SHARDS", str(RULES.shards + 1))  # what Postgres has recorded counts
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", servers["REDIS_URL"].rsplit("/", 1)[0] + "/1")
    world = World(valkey, database)
    world.reset()
    world.ship(trades(0, 10, name="A") + trades(0, 10, name="B"))
    world.settle()
    quote = "INSERT INTO latest_quotes VALUES ('A', 1, 2, 1, 1, 0, -1, 0, 'u', 1)"
    world.sql.execute(quote)
    yield world
    world.close()


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(forget.app, [*arguments])


def live(world: World) -> set[str]:
    keys = [Keys(shard).instruments for shard in range(RULES.shards)]
    return {name.decode() for found in world.store.read_whole(keys) for name in found}


def work(world: World) -> None:
    """Run candle-aggregate's clock; the request has this machine's time."""
    world.sql.execute(
        "UPDATE unused_instruments SET requested_at = to_timestamp(%s)", (world.now_us / 1e6,)
    )
    move_unused(world.context)


def test_a_forgotten_instrument_keeps_its_candles(world: World) -> None:
    """A forgotten instrument loses record and quote, and its candles stay.

    So does the other instrument.
    """
    before = world.stored()
    for name in ("A", "B"):
        shard, client = shard_of(name, RULES.shards), world.store.client
        client.set(series_key(shard, (name, "1m")), b"")
        client.zadd(used_key(shard), {member((name, "1m")): 1})
    result = invoke("A")
    assert not world.store.client.keys("*series:1m:A")
    assert world.store.client.keys("*series:1m:B")
    assert result.output == (
        "A: leaves what is live once its candles are stored; its latest quote is deleted;"
        f" its ticks of {TIMES} and their candles stay\n"
    )
    work(world)
    assert live(world) == {"B"}
    assert world.sql.execute("SELECT FROM latest_quotes").rowcount == 0
    assert world.stored() == before
    world.assert_right()
    again = invoke("A")
    assert again.output == f"A: is not live; its ticks of {TIMES} and their candles stay\n"


def test_a_dry_run_changes_nothing(world: World) -> None:
    """A dry run lists what would be removed and changes nothing."""
    result = invoke("A", "B", "--dry-run")
    assert result.output.splitlines() == [
        "A: would leave what is live once its candles are stored; its latest quote would be"
        f" deleted; its ticks of {TIMES} and their candles stay",
        "B: would leave what is live once its candles are stored;"
        f" its ticks of {TIMES} and their candles stay",
    ]
    work(world)
    assert live(world) == {"A", "B"}
    assert world.sql.execute("SELECT FROM latest_quotes").rowcount == 1


def test_an_unknown_name_is_an_error_and_nothing_is_forgotten(world: World) -> None:
    """An unknown name among others is an error, and nothing is forgotten."""
    result = invoke("A", "X-USD")
    assert isinstance(result.exception, CliError)
    assert str(result.exception) == "nothing is known of 'X-USD'"
    work(world)
    assert live(world) == {"A", "B"}
