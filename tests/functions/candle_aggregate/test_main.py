"""candle-aggregate as a process of its own, with real stores and a real sink."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import redis

from local.servers.ports import free_port
from local.supervisor.component import tethered
from shared.adapter.event import OutgoingEvent
from shared.market.shards import shard_of
from shared.realtime.keys import Keys
from shared.wire import events
from tests.functions.candle_aggregate.trades import trade
from tests.functions.candle_aggregate.truth import as_ticks
from tests.local.broker.processes import eventually
from tests.local.broker.subscriber import Subscriber

ROOT = Path(__file__).parents[3]
SHARDS = 16


def test_a_process_is_ready_for_its_base_timeframe_and_leaves_no_lease(
    servers: dict[str, str], valkey: redis.Redis, database: str
) -> None:
    """It is not ready where the stored candles have another base; SIGTERM returns its leases."""
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO aggregation (ladder, shards) VALUES ('5m', %s)", (SHARDS,))
    port, sink = free_port(), Subscriber()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "FUNCTION_SOURCE": "functions/candle_aggregate/main.py",
        "FUNCTION_TARGET": "candle_aggregate",
        "REDIS_URL": servers["REDIS_URL"].rsplit("/", 1)[0] + "/1",
        "DATABASE_URL": database,
        "K_SINK": sink.url,
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "functions_framework.aio:app"),
        *("--port", str(port), "--log-level", "warning"),
    ]
    process = subprocess.Popen(tethered(command), cwd=ROOT, env=environment)

    def readiness() -> str:
        try:
            return httpx.get(f"{url}/health/readiness", timeout=30).text
        except httpx.TransportError:
            return ""

    try:
        assert "TIMEFRAMES must begin with it" in eventually(readiness)
        with psycopg.connect(database) as connection:
            connection.execute("DELETE FROM aggregation")
        eventually(lambda: readiness() == "ready\n")
        ticks = as_ticks([trade(0, 1, 100)]).sharded(SHARDS)
        event = OutgoingEvent.packed("e0", events.TICKS, ticks.encode())
        answer = httpx.post(url, headers=event.headers("/test", {}), content=event.body, timeout=60)
        assert answer.status_code == 204
        lease = Keys(shard_of("A", SHARDS)).lease
        valkey.persist(lease)  # it does not end by itself
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        assert not valkey.exists(lease)
    finally:
        process.kill()
        process.wait()
        sink.close()
