"""Other programs read the tables: the examples of docs/lake.md, run unchanged."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from functions.persist.writer import Writer
from local.audit import Batch, truth
from local.cli.commands.env import _duckdb, _polars, _spark
from shared.lake.maintenance.candle_days import copy_candles
from shared.lake.tables.candle_table import to_lists
from shared.market.timeframes import parse_ladder
from shared.wire.candle_columns import columns_of
from tests.functions.history_query.market import Tick, candles, generated
from tests.shared.lake.house import House, to_candles

DOCS = Path(__file__).parents[3] / "docs" / "lake.md"
NUMERIC = "600519"
Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]


@pytest.fixture
def market(lake: House, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[Tick]:
    """A numeric symbol and another one in both tables; the environment of `kandle env`."""
    for name, value in {**servers, "DATABASE_URL": lake.dsn}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # it warns without its own
    ticks = [  # of one batch: ties without ids differ in their sequence only
        tick._replace(source="udp-1", receive_us=tick.time_us)
        for tick in generated(21, 300, 30_000_000)
    ]
    ladder = parse_ladder("1m")
    for symbol in (NUMERIC, "7203"):
        lake.put(ticks, symbol=symbol)
        with lake.postgres.connection() as connection:
            span = (ticks[0].time_us, 2 * 10**15)
            found = truth(connection, lake.cold, Batch([symbol], *span), ladder[0], ladder)
        closed = [replace(each, closed=True, revision=1) for each in found.values()]
        Writer(lake.postgres).candles(columns_of(closed))
    lake.copy()
    lake.compact()
    assert copy_candles(lake.postgres, lake.access, time.time_ns() // 1000, settled_s=0)
    return ticks


def expected(ticks: list[Tick]) -> list[Row]:
    return [
        (each["t"], *(Decimal(each[key]) for key in ("o", "h", "l", "c", "v")))
        for each in candles(ticks, 60)
    ]


def row(values: dict[str, Any]) -> Row:
    moment, *numbers = (values[name] for name in ("time", "open", "high", "low", "close", "volume"))
    return (int(moment.timestamp() * 1000), *numbers)


def test_the_examples_read_the_candles_that_the_api_gives(market: list[Tick]) -> None:
    """PyIceberg, pandas, Polars and DuckDB read the API's candles, with the symbol as text."""
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL):
        exec(block, space)
    space["lake"].close()
    should = expected(market)
    assert len(should) > 20
    assert [row(each) for each in space["arrow"].to_pylist()] == should
    assert [row(each) for each in space["frame"].to_dict("records")] == should
    assert [row(each) for each in space["lazy"].to_dicts()] == should
    assert [row(each) for each in space["minutes"].to_dicts()] == should
    assert {each.instrument for each in to_candles(to_lists(space["arrow"]))} == {NUMERIC}
    assert set(space["frame"]["symbol"]) == {NUMERIC}
    assert set(space["lazy"]["symbol"]) == {NUMERIC}


def test_what_kandle_env_prints_attaches_the_tables(
    lake: House, market: list[Tick], servers: dict[str, str]
) -> None:
    """The output of `kandle env` attaches the tables in Python, DuckDB and Spark."""
    env = {**servers, "DATABASE_URL": lake.dsn}
    space: dict[str, Any] = {}
    exec(_polars(env), space)
    location = space["lake"].load_table("kandle.ticks").metadata_location
    space["lake"].close()
    assert len(space["ticks"].filter(symbol=NUMERIC).collect()) == len(market)
    text = _duckdb(env, {"ticks": location})
    kinds = [each.type.name for each in duckdb.extract_statements(text)]
    assert kinds == ["LOAD"] * 4 + ["CREATE"] * 2
    assert f"ENDPOINT '{servers['S3_ENDPOINT_URL'].removeprefix('http://')}'" in text
    assert "USE_SSL false" in text
    assert f"iceberg_scan('{location}')" in text
    assert f"kandle.s3.endpoint={servers['S3_ENDPOINT_URL']}'" in _spark(env)
