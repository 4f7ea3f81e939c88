"""The client over a real server and real stores: all pages, exact values, errors."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd
import polars as pl
import pytest
import redis
import uvicorn

from functions.persist.tick_writer import TickWriter
from kandle import _requests
from kandle.client import (
    AddressError,
    ApiError,
    AsyncKandle,
    Bar,
    Candle,
    Kandle,
    MissingPackageError,
    UnreachableError,
)
from local.servers.ports import free_port
from shared.stores.postgres import Postgres
from tests import unasync
from tests.functions.history_query.conftest import House
from tests.functions.history_query.market import Tick, candles, columns, generated, trades


def names(row: type) -> set[str]:
    return {each.name for each in dataclasses.fields(row)}


@pytest.fixture
def served(database: str, valkey: redis.Redis) -> Iterator[tuple[str, list[Tick]]]:
    """The API's address, and the ticks that it has."""
    postgres = Postgres(database, size=4)
    house = House(postgres, valkey)
    ticks = [t._replace(source="u", price_scale=2) for t in generated(5, 600, 20_000_000)]
    house.take(columns(sorted(ticks), "XRP/ETH"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(house.app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", ticks
        server.should_exit = True
        thread.join()
    postgres.close()


def test_bars_flow_and_profile_are_exact(served: tuple[str, list[Tick]]) -> None:
    """Bars, order flow and profile have all trades exactly, in both clients."""
    url, ticks = served
    volume = sum((tick.decimal_size for tick in trades(ticks)), Decimal(0))
    with Kandle(url) as kandle:
        bars = list(kandle.bars("XRP/ETH", "tick:7", start=0))
        assert sum((each.volume for each in bars), Decimal(0)) == volume
        assert bars == list(kandle.bars("XRP/ETH", "7t", limit=10_000))
        flow = list(kandle.flow("XRP/ETH", "1h", start=0, anchor=0))
        assert sum((each.volumes.volume for each in flow), Decimal(0)) == volume
        assert flow[-1].cumulative_delta == sum((each.delta for each in flow), Decimal(0))
        profile = kandle.profile("XRP/ETH", start=0, step="0.5")
        assert profile.total.volume == volume
        assert sum((each.volume for each in profile.levels.values()), Decimal(0)) == volume
        assert profile.total.delta == flow[-1].cumulative_delta

    async def again() -> None:
        async with AsyncKandle(url) as client:
            assert [each async for each in client.bars("XRP/ETH", "tick:7", start=0)] == bars
            hours = [each async for each in client.flow("XRP/ETH", "1h", start=0, anchor=0)]
            assert hours == flow
            assert await client.profile("XRP/ETH", start=0, step="0.5") == profile

    asyncio.run(again())


def test_candles_are_read_over_all_pages(served: tuple[str, list[Tick]]) -> None:
    """Candles of a range or the newest ones are read over all pages and equal the ticks'."""
    url, ticks = served
    expected = [(each["t"], Decimal(each["c"])) for each in candles(ticks, 60)]

    def short(found: list[Candle]) -> list[tuple[int, Decimal | None]]:
        return [(round(each.time.timestamp() * 1000), each.close) for each in found]

    with Kandle(url) as kandle:
        whole = list(kandle.candles("XRP/ETH", start=datetime(2020, 1, 1, tzinfo=UTC)))
        assert short(whole) == expected
        assert short(list(kandle.candles("XRP/ETH", limit=7))) == expected[-7:]
        assert kandle.symbols() == ["XRP/ETH"]
        assert kandle.latest("XRP/ETH").price == trades(ticks)[-1].decimal_price
        assert [each.price for each in kandle.ticks("XRP/ETH", start=0)] == [
            tick.decimal_price for tick in trades(ticks)
        ]


def test_frames_have_exact_decimals(
    served: tuple[str, list[Tick]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several pages become one frame with exact decimals, in each library's form."""
    url, ticks = served
    monkeypatch.setattr("kandle._requests.PAGE", 100)
    with Kandle(url) as kandle:
        rows = kandle.candles("XRP/ETH", start=0, indicators=["sma:3"])
        frame = rows.to_polars()
        newest = kandle.ticks("XRP/ETH", limit=250).to_polars()
        pandas = rows.to_pandas(floats=True)
        found = rows.to_duckdb().aggregate("sum(volume), count(*)").fetchall()
        bars = kandle.bars("XRP/ETH", "tick:10", limit=5)
        assert set(bars.to_arrow().column_names) == names(Bar) - {"symbol", "type"}
        assert [each.close for each in bars] == bars.to_polars()["close"].to_list()
    closes = [Decimal(each["c"]) for each in candles(ticks, 60)]
    assert set(frame.columns) == names(Candle) - {"symbol", "timeframe", "indicators"} | {"sma:3"}
    assert frame["close"].to_list() == closes
    assert frame["time"].dtype == pl.Datetime("ms", "UTC")
    assert pandas["close"].to_list() == [float(each) for each in closes]
    assert found == [(sum(Decimal(each["v"]) for each in candles(ticks, 60)), len(closes))]
    assert newest["price"].to_list() == [tick.decimal_price for tick in trades(ticks)[-250:]]
    assert newest["time"].dtype == pl.Datetime("us", "UTC")


def test_floats_are_read_where_no_decimal_of_a_frame_holds_the_digits(
    served: tuple[str, list[Tick]], database: str
) -> None:
    """A token's price of 20 decimals is refused as DECIMAL(38, 18), and read as a float."""
    url, ticks = served
    few = [tick._replace(price_scale=20) for tick in ticks[:50]]
    postgres = Postgres(database, size=2)
    assert TickWriter(postgres)([("token", columns(few, "TOKEN"))])
    postgres.close()
    with Kandle(url) as kandle:
        rows = kandle.ticks("TOKEN", start=0)
        with pytest.raises(ApiError, match=r"digits .* floats=True"):
            rows.to_polars()
        frame = rows.to_polars(floats=True)
        made = kandle.candles("TOKEN", "90s", start=0, indicators=["sma:2"]).to_arrow(floats=True)
        usual = kandle.candles("XRP/ETH", "90s", start=0, indicators=["sma:2"]).to_arrow(
            floats=True
        )
    assert frame["price"].to_list() == [float(tick.decimal_price) for tick in trades(few)]
    assert frame["time"].dtype == pl.Datetime("us", "UTC")
    assert made.schema == usual.schema
    assert made["close"].to_pylist() == [float(each["c"]) for each in candles(few, 90)]


def test_rows_are_dictionaries_of_decimals_or_floats(served: tuple[str, list[Tick]]) -> None:
    """Rows are dictionaries of decimals or floats by attribute names, in both clients."""
    url, ticks = served
    closes = [Decimal(each["c"]) for each in candles(ticks, 60)]
    with Kandle(url) as kandle:
        rows = kandle.candles("XRP/ETH", start=0)
        exact, short = rows.to_dicts(), rows.to_dicts(floats=True)
    assert set(exact[0]) == set(short[0]) == names(Candle)
    assert [each["close"] for each in exact] == closes
    assert [each["close"] for each in short] == [float(each) for each in closes]
    assert all(type(each["volume"]) is float and type(each["trades"]) is int for each in short)

    async def read() -> list[dict[str, object]]:
        async with AsyncKandle(url) as client:
            return await client.candles("XRP/ETH", start=0).to_dicts(floats=True)

    assert asyncio.run(read()) == short


def test_a_connection_in_floats_gives_floats_everywhere(served: tuple[str, list[Tick]]) -> None:
    """A connection in floats gives the same rows as floats, for the type checker too."""
    url, ticks = served
    closes = [float(each["c"]) for each in candles(ticks, 60)]
    with Kandle(url, floats=True) as kandle, Kandle(url) as decimals:
        rows = list(kandle.candles("XRP/ETH", start=0))
        assert_type(rows, list[Candle[float]])
        assert_type(list(decimals.candles("XRP/ETH", start=0)), list[Candle[Decimal]])
        assert [each.close for each in rows] == closes
        assert {type(each.volume) for each in rows} == {float}
        assert kandle.candles("XRP/ETH", start=0).to_polars()["close"].to_list() == closes
        assert kandle.candles("XRP/ETH", start=0).to_dicts()[0]["close"] == closes[0]
        assert kandle.ticks("XRP/ETH", limit=1).to_dicts(floats=False)[0]["price"] == closes[-1]
        assert {type(each.close) for each in kandle.bars("XRP/ETH", "tick:7")} == {float}
        flow = list(kandle.flow("XRP/ETH", "1h"))
        assert_type(flow[0].volumes.delta, float)
        assert {type(each.delta) for each in flow} == {float}
        profile = kandle.profile("XRP/ETH", start=0, step="0.5")
        assert {type(each) for each in (*profile.levels, profile.total.delta)} == {float}
        assert type(kandle.latest("XRP/ETH").price) is float
        assert type(kandle.overview("XRP/ETH")[0].volume) is float

    async def again() -> list[Candle[float]]:
        async with AsyncKandle(url, floats=True) as client:
            return [each async for each in client.candles("XRP/ETH", start=0)]

    assert asyncio.run(again()) == rows


@pytest.mark.processes
def test_an_import_of_the_client_loads_nothing_heavy() -> None:
    """Importing the client loads neither HTTP, events nor frames; their first use does."""
    heavy = (
        "{'asyncio', 'httpx', 'numpy', 'pyarrow', 'polars', 'pandas', 'duckdb', 'rich', 'typer'}"
    )
    shown = subprocess.run(
        [sys.executable, "-c", f"import kandle.client, sys; print({heavy} & sys.modules.keys())"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert shown.stdout.strip() == "set()"


def test_every_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors without an address, a server or a package say what to do."""
    monkeypatch.delenv("API_URL", raising=False)
    with Kandle() as kandle, pytest.raises(AddressError, match="set API_URL"):
        kandle.symbols()
    monkeypatch.setenv("API_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("kandle._requests.RETRY_S", 0)
    with Kandle() as kandle:
        with pytest.raises(UnreachableError, match="is `kandle up` running"):
            kandle.symbols()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingPackageError, match=r"pip install 'kandle\[arrow\]'"):
            kandle.candles("XRP/ETH").to_polars()


def test_the_asynchronous_client_reads_the_same(served: tuple[str, list[Tick]]) -> None:
    """The asyncio client's rows equal those of the synchronous one."""
    url, _ = served

    async def read() -> list[Candle]:
        async with AsyncKandle(url) as kandle:
            assert (await kandle.symbols()) == ["XRP/ETH"]
            assert (await kandle.latest("XRP/ETH")).symbol == "XRP/ETH"
            assert [each async for each in kandle.ticks("XRP/ETH", limit=3)]
            return [each async for each in kandle.candles("XRP/ETH", start=0)]

    with Kandle(url) as kandle:
        assert asyncio.run(read()) == list(kandle.candles("XRP/ETH", start=0))


@pytest.mark.processes
def test_the_synchronous_client_is_up_to_date(tmp_path: Path) -> None:
    """The synchronous client is what `python -m tests.unasync` writes."""
    written = {path.name: path.read_text() for path in unasync.write(tmp_path)}
    ours = unasync.ROOT / "kandle" / "_sync"
    assert written == {path.name: path.read_text() for path in ours.glob("*.py")}


def test_refusals_name_the_parameter(served: tuple[str, list[Tick]]) -> None:
    """A 400 or 404 is an ApiError with the detail of its problem."""
    url, _ = served
    with Kandle(url) as kandle:
        with pytest.raises(ApiError, match="timeframe") as caught:
            list(kandle.candles("XRP/ETH", "7x"))
        assert caught.value.status == 400
        with pytest.raises(ApiError, match="limit: '0'"):
            list(kandle.candles("XRP/ETH", limit=0))
        with pytest.raises(ApiError, match="404"):
            kandle.latest("NONE")


def test_an_invalid_tick_is_not_sent() -> None:
    """The error of an invalid tick names the field, or the way to send a frame's rows."""
    frame = pl.DataFrame({"symbol": ["A"], "price": [1.5]})
    with Kandle(ingest_url="http://127.0.0.1:1/ingest") as kandle:
        with pytest.raises(TypeError, match=r"df\.to_dicts\(\)"):
            kandle.send(frame)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="price: nan is not a number"):
            kandle.send([{"symbol": "A", "price": math.nan}])
        for unknown in (pd.NaT, pd.NA, np.float32("inf"), Decimal("NaN")):
            with pytest.raises(ValueError, match=f"time: {unknown} is not a number"):
                kandle.send([{"symbol": "A", "price": 1, "time": unknown}])
        with pytest.raises(TypeError, match="a tick has a ndarray"):
            kandle.send([{"symbol": "A", "price": np.array([1.5])}])


def test_numbers_of_numpy_and_pandas_are_sent_exactly() -> None:
    """Numbers and times of NumPy and pandas are sent with the digits that they print."""
    tick = {
        "price": np.float32(1.1),
        "size": np.int64(2**62),
        "time": np.datetime64("2026-01-05T12:00:00.123456789"),
        "at": pd.Timestamp("2026-01-05T12:00:00.000000001Z"),
        "m": np.bool_(True),
        "bid": np.float64(0.1),
    }
    ((body, _),) = _requests.bodies([tick], None)
    assert json.loads(body) == [
        {
            "price": "1.1",
            "size": str(2**62),
            "time": "2026-01-05T12:00:00.123456789",
            "at": "2026-01-05T12:00:00.000000001+00:00",
            "m": "True",
            "bid": 0.1,
        }
    ]


def test_many_ticks_fit_the_bodies_that_the_bridge_takes() -> None:
    """Ticks are divided by their bytes too, and in the same way when they are sent again."""
    ticks = [{"symbol": "A", "price": "1", "id": f"{n:0100d}"} for n in range(6_000)]
    sent = list(_requests.bodies(ticks, "key"))
    assert [each for body, _ in sent for each in json.loads(body)] == ticks
    assert all(len(body) < 384 * 1024 for body, _ in sent)
    assert sent == list(_requests.bodies(iter(ticks), "key"))
    assert len({headers["idempotency-key"] for _, headers in sent}) == len(sent) > 2
