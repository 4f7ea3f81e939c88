"""`kandle snapshot` and `kandle retention` on a running pipeline."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.client import (
    candles,
    eventually,
    fresh_symbol,
    rows,
    send_udp,
    wait_until_applied,
    web,
)
from tests.platform import kandle


@pytest.mark.early
def test_the_live_state_is_copied_and_brought_back(pipeline: dict[str, str]) -> None:
    """A snapshot of the live state is taken, listed and restored while ticks arrive, each once."""
    symbol, where = fresh_symbol("STATE"), ("--data-dir", pipeline["DATA_DIR"])
    now_ms = time.time_ns() // 1_000_000
    lines = [f"{symbol},{100 + n % 7}.25,1,{now_ms - 400 * (300 - n)},buy,{n}" for n in range(300)]
    send_udp(pipeline["UDP_ADDR"], lines[:200])
    wait_until_applied(pipeline, symbol, 200)
    said = kandle("snapshot", "take", *where).stdout
    assert "live state of" in said
    listed = [
        json.loads(line)
        for line in kandle("snapshot", "list", "--json", *where).stdout.splitlines()
    ]
    assert max(each["rows"] for each in listed if each["of"] == "ticks") >= 200
    assert any(each["of"] == "state" for each in listed)
    assert "iceberg_scan('s3://ticks/" in kandle("env", "--duckdb", *where).stdout
    send_udp(pipeline["UDP_ADDR"], lines[200:] + lines[150:])
    restored = kandle("snapshot", "restore", "--json", *where)
    assert json.loads(restored.stdout)["missing"] == []
    assert "made anew" in restored.stderr
    wait_until_applied(pipeline, symbol, 450)

    def counted() -> int:
        return sum(each["n"] for each in candles(pipeline["API_URL"], symbol, "1h"))

    assert eventually(counted, lambda count: count == 300, 90) == 300
    latest = web.get(f"{pipeline['API_URL']}/prices/{symbol}").json()
    assert latest["price"] == 100.25 + 299 % 7
    assert "all equal" in kandle("audit", symbol, *where).stdout
    early = kandle("snapshot", "restore", "--at", "2020-01-01", *where, check=False)
    assert early.returncode == 1
    assert "no copy of the live state before 2020-01-01T00:00:00Z" in early.stderr


@pytest.mark.early
def test_retention_says_what_would_go(pipeline: dict[str, str]) -> None:
    """`kandle retention --dry-run` lists an old day that waits until the lake has it."""
    symbol, where = fresh_symbol("AGED"), ("--data-dir", pipeline["DATA_DIR"])
    rows(pipeline["DATABASE_URL"], "SELECT make_partition('tick_segments', '2017-07-14')")
    send_udp(pipeline["UDP_ADDR"], [f"{symbol},1,1,{1_500_000_000_000 + n}" for n in range(10)])
    wait_until_applied(pipeline, symbol, 10)
    said = kandle("retention", "--dry-run", *where).stdout.splitlines()
    assert any(line.startswith("ticks 2017-07-14: waits for ") for line in said)
    told = kandle("retention", "--dry-run", "--json", *where).stdout.splitlines()
    day = {"of": "ticks", "day": "2017-07-14"}
    (found,) = [each for each in map(json.loads, told) if day.items() <= each.items()]
    assert found["waits_for"]
