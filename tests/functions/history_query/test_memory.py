"""The memory of history-query as a process: every route, with the largest answers permitted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import anyio
import httpx
import numpy as np
import pyarrow as pa
import pytest
import redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from functions.history_query.api import endpoints
from functions.history_query.api.openapi import DOCUMENT
from local.servers.ports import free_port
from local.supervisor.component import tethered
from shared.lake.catalog import commit, locked, open_table
from shared.lake.tables.decimal_columns import to_decimals
from shared.lake.tables.definitions import TICKS
from shared.lake.tables.files import write
from shared.lake.tables.tick_table import SCHEMA
from shared.market.utc_days import DAY_US, begin_us, day_of
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import Ticks
from tests.functions.history_query.conftest import SHARDS, House
from tests.shared.lake.house import House as Lake

SYMBOL: Final = "BUSY-USD"
ROWS: Final = 300_000
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
MOST_MIB: Final = 225
"""Measured: 213, of which 87 are pages of files; before the first request 160 and 80.

Kernels map larger or smaller pieces of the libraries' code: some MiB more or less.
"""
LARGEST: Final = """
    /api/candles/{symbol}?limit=720&timeframe=1h&calendar=XNYS
    /api/ticks/{symbol}?limit=10000
    /api/ticks/{symbol}?limit=10000&format=ndjson&tz=Asia/Kolkata
    /api/ticks/{symbol}?limit=10000&format=parquet&cold=from,to
    /api/ticks/{symbol}?limit=all&format=ndjson&cold=from,to
    /api/candles/{symbol}?limit=10000
    /api/candles/{symbol}?limit=10000&format=ndjson
    /api/candles/{symbol}?limit=10000&format=csv
    /api/candles/{symbol}?limit=10000&format=influx
    /api/candles/{symbol}?limit=10000&format=lightweight-charts
    /api/candles/{symbol}?limit=10000&indicators=macd,rsi:14,vwap&format=arrow
    /api/candles/{symbol}?limit=720&timeframe=1h
    /api/candles/{symbol}?limit=10000&timeframe=2m
    /api/candles/{symbol}?limit=10000&as_of=-1d
    /api/candles/{symbol}?limit=10000&timeframe=1s&cold=from,to
    /api/candles/{symbol}?limit=10000&timeframe=1s&fill=null&format=parquet&cold=from,to
    /api/candles/{symbol}?limit=10000&timeframe=1s&indicators=macd,rsi:14,vwap&cold=to
    /api/bars/{symbol}?limit=10000&type=tick:10
    /api/bars/{symbol}?limit=10000&type=tick:10&indicators=sma:20&format=ndjson&cold=from,to
    /api/flow/{symbol}?limit=10000&format=ndjson
    /api/flow/{symbol}?limit=10000&timeframe=5s&cold=from,to
    /api/profile/{symbol}?cold=from,to
    /api/history/{symbol}?limit=10000
    /prices/{symbol}/history?limit=10000&cold=from,to
    /api/patterns?limit=10000
    /api/alerts/{symbol}?limit=10000
    /api/rejects?limit=10000
"""
"""Requests with the largest answers that the API permits."""
SOURCE: Final = Path(__file__).parents[3] / "functions/history_query/main.py"


@pytest.fixture
def lake(servers: dict[str, str], database: str) -> Iterator[Lake]:
    lake = Lake(servers, database, SYMBOL)
    lake.sql(f"UPDATE lake_identity SET name = '{uuid.uuid4().hex[:8]}'")
    yield lake
    lake.postgres.close()


def cold_day(lake: Lake) -> int:
    """Write a day of a busy instrument as a cold one; return where it begins."""
    day = day_of(time.time_ns() // 1000 - 3 * DAY_US)
    begin, source = begin_us(day), np.random.default_rng(7)
    times = begin + np.sort(source.integers(0, DAY_US, ROWS))
    scale = np.full(ROWS, 2)
    price, _ = to_decimals(1_000_000 + np.cumsum(source.integers(-3, 4, ROWS)), scale)
    size, _ = to_decimals(source.integers(1, 10_000, ROWS), scale)
    columns = {
        "symbol": pa.repeat(SYMBOL, ROWS),
        "time": pa.array(times),
        "price": price,
        "size": size,
        "side": pa.repeat("buy", ROWS),
        "trade_id": pa.array(np.arange(ROWS)),
        "receive_time": pa.array(times + 5_000),
        "source": pa.repeat("s", ROWS),
        "sequence": pa.array(np.arange(ROWS)),
        "flags": pa.repeat(0, ROWS),
        "price_scale": pa.array(scale),
        "size_scale": pa.array(scale),
    }
    rows = pa.table(
        [columns.get(f.name, pa.nulls(ROWS, f.type)).cast(f.type) for f in SCHEMA], schema=SCHEMA
    )
    with locked(lake.postgres) as connection:
        table = open_table(connection, lake.access, TICKS)
        commit(table, write(table, day, [rows], TICKS))
        connection.execute("INSERT INTO cold_days (day) VALUES (%s)", (day,))
        connection.execute(
            "INSERT INTO first_ticks (instrument, first_time_us, last_time_us) VALUES (%s, %s, %s)",
            (SYMBOL, int(times[0]), int(times[-1])),
        )
    return begin


def stored_candles(lake: Lake) -> None:
    """Write 10,100 of its minutes, all different, to Postgres, and a month of hours to the lake."""
    now = time.time_ns() // 60_000_000_000 * MINUTE_US
    with lake.postgres.connection() as connection:
        for timeframe, length_us, count in (("1m", MINUTE_US, 10_100), ("1h", HOUR_US, 720)):
            connection.execute(
                """
                INSERT INTO candles (instrument, timeframe, start_us, open, high, low, close,
                    volume, notional, trade_count, buy_volume, sell_volume, first_time_us,
                    last_time_us, closed, partial, complete, revision)
                SELECT %s, %s, %s + n * %s::bigint, 1e5 + n / 1e2, 2e5 + n / 1e2, 9e4 + n / 1e2,
                    1e5 + n / 7.0, n / 1e4, n * 10.0001, n, n / 2e4, n / 2e4, 0, 0,
                    true, false, true, n
                FROM generate_series(1, %s) AS n
                """,
                (SYMBOL, timeframe, now - (count + 100) * length_us, length_us, count),
            )
    lake.sql(
        "INSERT INTO lake_pending_candles (day) SELECT DISTINCT date '1970-01-01'"
        " + (start_us / 86400000000)::int FROM candles WHERE timeframe = '1h'"
    )
    lake.copy_candles()
    lake.sql("INSERT INTO cold_candle_days SELECT day FROM lake_candle_days")
    lake.sql("DELETE FROM candles WHERE timeframe = '1h'")


def newest_ticks(house: House) -> None:
    """Store 20,000 ticks of the last three hours in Postgres, their candles in Redis too."""
    now, source, count = time.time_ns() // 1000, np.random.default_rng(3), 2_000
    for begin in range(now - 3 * HOUR_US, now, 3 * HOUR_US // 10):
        times = np.sort(begin + source.integers(0, 3 * HOUR_US // 10, count))
        ids = np.arange(count) + begin
        house.take(
            Ticks(
                "s",
                Entries.of(Entry(SYMBOL, 2, 2, count)),
                times,
                1_000_000 + np.cumsum(source.integers(-3, 4, count)),
                source.integers(1, 10_000, count),
                source.integers(0, 3, count).astype(np.uint8),
                np.ones(count, dtype=np.uint8),
                ids,
                None,
                times + 5_000,
                ids,
                np.zeros(count, dtype=np.uint8),
            )
        )


def lists(lake: Lake) -> None:
    """Store 10,000 patterns, alerts and rejects."""
    lake.sql(f"""
        INSERT INTO patterns SELECT n::text, '{SYMBOL}', '1m', 'flag', 'chart', 1, 0.9, 'high', n,
            n, n + 60000000, n, n, n, n, n, false, n, n,
            jsonb_build_object('height', n / 7.0, 'slope', n / 9.0, 'length', n)
        FROM generate_series(1, 10000) AS n""")
    lake.sql(f"""
        INSERT INTO alerts (rule_id, start_us, instrument, timeframe, body)
        SELECT 'a', n, '{SYMBOL}', '1m', jsonb_build_object('data', jsonb_build_object(
            'symbol', '{SYMBOL}', 'rule_id', 'a', 'rule', repeat('close > 1 and ', 20),
            'value', n::text, 'candle_start', n, 'timestamp', n))
        FROM generate_series(1, 10000) AS n""")
    lake.sql("""
        INSERT INTO rejects (event_id, position, code, detail, original, receive_time_us, source,
            sequence)
        SELECT n::text, 0, 'bad_price', 'price: 12,5 is not a number; write 12.5',
            convert_to(repeat('BTC-USD,12,5,3;', 40), 'utf8'),
            (extract(epoch FROM now()) * 1e6)::bigint - n, 'udp-a', n
        FROM generate_series(1, 10000) AS n""")


@contextmanager
def history_query(servers: dict[str, str], database: str) -> Iterator[tuple[int, httpx.Client]]:
    """Run history-query as a process; yield its id and a client."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "functions_framework.aio:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    environment = {
        **os.environ,
        **servers,
        "DATABASE_URL": database,
        "FUNCTION_SOURCE": str(SOURCE),
        "FUNCTION_TARGET": "history_query",
        "FUNCTION_SIGNATURE_TYPE": "http",
    }
    process = subprocess.Popen(tethered(command), env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield process.pid, client
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(client: httpx.Client) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if client.get("/health/readiness").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("history-query is not ready")


def peak_mib(pid: int) -> float:
    """Return the most memory that a process had at once, its pages of files included."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line) / 1024


def received(client: httpx.Client, path: str, parameters: dict[str, str]) -> int:
    """Read an answer piece by piece, once there is room for one more; return its size in bytes."""
    while True:
        with client.stream("GET", path, params=parameters) as answer:
            if answer.status_code != 503:
                assert answer.status_code == 200, answer.read()
                return sum(map(len, answer.iter_bytes()))
            time.sleep(int(answer.headers["retry-after"]))


@pytest.mark.processes
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel notes the peak in /proc")
def test_every_route_stays_within_a_bound_of_memory(
    servers: dict[str, str], lake: Lake, valkey: redis.Redis
) -> None:
    """The largest answers of every route, over all stores, take under 225 MiB.

    Eight whole ranges at once too, however many ticks they have.
    """
    begin = cold_day(lake)
    stored_candles(lake)
    lists(lake)
    newest_ticks(House(lake.postgres, valkey))
    stores = {**servers, "REDIS_URL": lake.redis_url, "SHARDS": str(SHARDS)}
    day = {
        "from": datetime.fromtimestamp(begin / 1e6, UTC).isoformat(),
        "to": datetime.fromtimestamp((begin + DAY_US) / 1e6, UTC).isoformat(),
    }
    routes = {path for path, of in DOCUMENT["paths"].items() if "get" in of}
    with history_query(stores, lake.dsn) as (pid, client):
        wait_until_ready(client)
        for text in LARGEST.split():
            route, _, query = text.partition("?")
            parameters = dict(parse_qsl(query))
            parameters |= {
                each: day[each] for each in parameters.pop("cold", "").split(",") if each
            }
            sent = received(client, route.replace("{symbol}", SYMBOL), parameters)
            assert not parameters or "calendar" in parameters or sent > 100_000, text
            routes.discard(route)
        for route in sorted(routes):
            received(client, route.replace("{symbol}", SYMBOL), {})
        whole = {"limit": "all", "format": "arrow", **day}
        ticks, candles = f"/api/ticks/{SYMBOL}", f"/api/candles/{SYMBOL}"
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: received(client, candles, {"limit": "500"}), range(8)))
            sizes = list(pool.map(lambda _: received(client, ticks, whole), range(8)))
        assert len(set(sizes)) == 1
        assert sizes[0] > 10_000_000
        assert peak_mib(pid) < MOST_MIB


def test_whole_ranges_are_sent_to_four_clients_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While four clients read whole ranges, a fifth gets 503 with Retry-After; others do not."""
    monkeypatch.setattr(endpoints, "_STREAM_WAIT_S", 0.01)

    async def run() -> None:
        may_end, all_read, reading = anyio.Event(), anyio.Event(), 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal reading
            reading += 1
            if reading == 4:
                all_read.set()
            yield b"row"
            await may_end.wait()

        endpoint = endpoints.endpoint_of(
            lambda _: StreamingResponse(body()), endpoints.ConcurrencyLimits(), None
        )
        transport = httpx.ASGITransport(Starlette(routes=[Route("/", endpoint)]))
        whole, statuses = {"limit": "all"}, []

        async def read() -> None:
            statuses.append((await client.get("/", params=whole)).status_code)

        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(read)
                await all_read.wait()
                refused = await client.get("/", params=whole)
                assert refused.status_code == 503
                assert refused.headers["retry-after"] == "1"
                may_end.set()
                assert (await client.get("/")).status_code == 200
            await read()
        assert statuses == [200] * 5

    anyio.run(run)


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_client_that_reads_nothing_loses_its_place(
    monkeypatch: pytest.MonkeyPatch, spec_version: str
) -> None:
    """A whole range whose client takes nothing more ends, and the next one is sent."""
    monkeypatch.setattr(endpoints, "_STALLED_S", 0.05)
    monkeypatch.setattr(endpoints, "_STREAMED_AT_ONCE", 1)
    limits = endpoints.ConcurrencyLimits()
    handled = endpoints.endpoint_of(lambda _: StreamingResponse(iter([b"1", b"2"])), limits, None)
    scope = {
        "type": "http",
        "query_string": b"limit=all",
        "headers": [],
        "path_params": {},
        "asgi": {"spec_version": spec_version},
    }

    async def never(*_: object) -> Any:
        await anyio.sleep_forever()

    async def request() -> None:
        app = await handled(Request(scope))
        await app(scope, never, never)
        assert await limits.begin_stream()

    anyio.run(request)
