"""`kandle audit` over real stores that candle-aggregate and persist have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from typer.testing import CliRunner, Result

import local.audit
from local.audit import Audited, Difference, grows
from local.cli.commands import audit
from local.cli.options.candle_range import made_by
from local.errors import CliError, UsageError
from shared.market.blocks import Records
from shared.market.shards import shard_of
from shared.realtime.keys import Block, Keys
from shared.wire.candle import Candle
from tests.functions.candle_aggregate.truth import MINUTE, Row, with_id
from tests.functions.candle_aggregate.world import RULES, World

BEGIN_US = 1_799_000_000_000_000 // (5 * MINUTE) * 5 * MINUTE


@pytest.fixture
def world(valkey: redis.Redis, database: str) -> Iterator[World]:
    """Two instruments with ten closed minutes, and an open minute of one of them."""
    world = World(valkey, database)
    world.reset()
    for name, first in (("A", 7), ("B/C", 0)):
        rows = [
            Row(name, BEGIN_US + n * 20_000_000 + first, *with_id(n), world.now_us, "u", n, *rest)
            for n, rest in enumerate([(10 + n % 7, 1 + n % 3, n % 3) for n in range(30)])
        ]
        world.send(rows)
    world.settle()
    yield world
    world.close()


@pytest.fixture
def urls(servers: dict[str, str], database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMEFRAMES", "1m,1h")  # what Postgres has recorded counts
    monkeypatch.setenv("SHARDS", str(RULES.shards + 1))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", servers["REDIS_URL"].rsplit("/", 1)[0] + "/1")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(audit.app, [*arguments, "--wait", "0"])


@pytest.mark.usefixtures("urls")
def test_equal_candles_are_counted_and_the_exit_code_is_0(world: World) -> None:
    """Equal candles are counted, and the exit code is 0.

    Ten minutes and two of five, the first of each partial, stored or live or both.
    """
    result = invoke("--all")
    assert result.output.splitlines() == [
        "A: 12 candles against 30 stored trades: all equal",
        "B/C: 12 candles against 30 stored trades: all equal",
    ]
    assert result.exit_code == 0
    one = invoke(
        "A", "--from", str(BEGIN_US // 1000 + 61_000), "--to", str(BEGIN_US // 1000 + 121_000)
    )
    assert one.output == "A: 3 candles against 6 stored trades: all equal\n"
    assert invoke("A", "--timeframe", "5m").output.startswith("A: 2 candles")


@pytest.mark.parametrize("text", ["0", "-4", "x"])
def test_a_number_of_shards_that_is_none_is_a_usage_error(
    text: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before candle-aggregate has recorded one, SHARDS counts and must be a number from 1."""
    monkeypatch.setenv("SHARDS", text)
    with (
        psycopg.connect(database) as connection,
        pytest.raises(UsageError, match=f"SHARDS='{text}' is not a whole number from 1"),
    ):
        made_by(connection)


@pytest.mark.usefixtures("urls")
def test_every_difference_is_reported_with_both_values(world: World) -> None:
    """Each difference is a line with both values, and the exit code is 1.

    A changed value, a missing candle, one without ticks, a wrong flag.
    """
    world.client.flushdb()  # no live candle: only Postgres has it
    at = "instrument = 'A' AND timeframe = '1m' AND start_us ="
    world.sql.execute(f"UPDATE candles SET close = 99.5 WHERE {at} {BEGIN_US + MINUTE}".encode())
    world.sql.execute(f"DELETE FROM candles WHERE {at} {BEGIN_US + 2 * MINUTE}".encode())
    world.sql.execute(f"UPDATE candles SET partial = false WHERE {at} {BEGIN_US}".encode())
    moved = f"UPDATE candles SET start_us = start_us - 600000000 WHERE {at} {BEGIN_US + 4 * MINUTE}"
    world.sql.execute(moved.encode())
    result = invoke("A", "--from", "0")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert len(lines) == 6
    assert "no stored tick makes it; found Candle(" in lines[0]
    assert lines[1].endswith(": partial is False, should be True")
    assert lines[2].endswith(": close is 99.5, should be 0.15")
    assert "missing; its ticks make Candle(" in lines[3]
    assert lines[5] == "A: 13 candles against 30 stored trades: 5 differ"
    told = invoke("A", "--from", "0", "--json")
    assert told.exit_code == 1
    found = json.loads(told.output)
    assert (found["symbol"], found["candles"], found["trades"]) == ("A", 13, 30)
    assert [each["values"] for each in found["differences"]][1:3] == [
        {"partial": ["False", "True"]},
        {"close": ["99.5", "0.15"]},
    ]
    assert [each["is_missing"] for each in found["differences"]].count(True) == 2


@pytest.mark.usefixtures("urls")
def test_a_live_candle_is_audited_too(world: World) -> None:
    """A live candle in Redis with a higher revision is audited in place of the stored one."""
    rows = [Row("A", BEGIN_US + 600_000_000, *with_id(99), world.now_us, "u", 99, 500, 1, 1)]
    event_id = world.send(rows)
    world.persist_ticks(event_id)
    assert world.apply(event_id)
    first = invoke("A")
    assert first.exit_code == 0, first.output
    shard = shard_of("A", world.rules.shards)
    block = Keys(shard).block(Block("1m", BEGIN_US + 10 * MINUTE))
    blob = world.client.hget(block, "A")
    assert isinstance(blob, bytes)
    records = Records.decode([blob])
    records.data["count"] = 77
    records.data["revision"] += 5
    world.client.hset(block, "A", records.encode()[0])
    result = invoke("A")
    assert result.exit_code == 1
    assert "trades is 77, should be 1" in result.output


@pytest.mark.usefixtures("urls")
def test_a_comparison_longer_than_the_wait_is_rechecked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open candle that grows is no difference, however long the first comparison took.

    Its ticks are ahead of it all the time, by more than it grows between two comparisons.
    """
    compare, ahead, checks = local.audit.audit, 2, 0

    def store(number: int) -> str:
        at_us = BEGIN_US + 600_000_000 + number
        row = Row("A", at_us, *with_id(99 + number), world.now_us, "u", number, 500, 1, 1)
        event_id = world.send([row])
        world.persist_ticks(event_id)
        return event_id

    waiting = [store(number) for number in range(ahead)]

    def while_it_grows(*arguments: Any) -> dict[str, Audited]:
        nonlocal checks
        found = compare(*arguments)
        assert world.apply(waiting[checks])
        checks += 1
        waiting.append(store(len(waiting)))
        return found

    clock = SimpleNamespace(monotonic=lambda: 60 * checks, sleep=lambda _: None)
    monkeypatch.setattr(audit, "time", clock)
    monkeypatch.setattr(local.audit, "audit", while_it_grows)
    result = CliRunner().invoke(audit.app, ["A", "--wait", str(60 * ahead)])
    assert result.exit_code == 0, result.output
    assert result.output.endswith("all equal, 2 still growing: not compared\n")


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a SYMBOL, or --all"),
        (("A", "--all"), "a SYMBOL, or --all"),
        (("A", "--from", "then"), "'then' is not a time"),
        (("A", "--from", "1700000000", "--to", "1700000000"), "nothing lies between"),
        (("A", "--timeframe", "7m"), "7m is not kept"),
        (("A", "--timeframe", "1x"), "timeframe '1x'"),
    ],
)
def test_bad_arguments_exit_with_2(world: World, arguments: tuple[str, ...], message: str) -> None:
    """Bad arguments exit with 2 and a sentence."""
    result = invoke(*arguments)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert message in str(result.exception)


@pytest.mark.usefixtures("urls")
def test_an_unknown_symbol_is_an_error(world: World) -> None:
    """An unknown symbol is an error, since nothing was compared."""
    assert isinstance(invoke("NO-SUCH").exception, CliError)


def test_an_open_candle_that_grows_is_not_a_difference() -> None:
    """An open candle that grows to its ticks' earlier state is no difference.

    One that does not change, or is closed, is.
    """
    key = ("A", "1m", BEGIN_US)
    one = Decimal(1)

    def difference(found: int, expected: int, *, closed: bool = False) -> Difference:
        stored, true = (
            Candle(*key, one, one, one, one, one, one, n, one, one, BEGIN_US, BEGIN_US)
            for n in (found, expected)
        )
        return Difference(key, replace(stored, closed=closed), true)

    assert grows(difference(7, 8), difference(9, 10))
    assert not grows(difference(7, 8), difference(7, 10))
    assert not grows(difference(7, 9), difference(8, 10))
    assert not grows(difference(7, 8), difference(9, 10, closed=True))
    assert grows(replace(difference(0, 8), found=None), difference(9, 10))
