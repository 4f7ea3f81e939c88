"""Drawn candles sent as ticks become patterns; corrections retract them; losses cost nothing."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from local.instance import load_status
from tests.e2e.client import candles, eventually, fresh_symbol, rows, send_udp, web
from tests.e2e.test_live import until, watching
from tests.e2e.test_metrics import scraped
from tests.messenger import Messenger
from tests.platform import kandle

MINUTE_MS = 60_000
DAY_MS = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS

# ten falling minutes, then a bullish engulfing
ENGULFING = [
    *[(110 - n, 110.2 - n, 108.8 - n, 109 - n) for n in range(20)],
    (89.0, 94.2, 88.9, 94.0),
]


def lines(symbol: str, drawn: Sequence[tuple[float, ...]], first: int = 0) -> list[str]:
    """Four ticks a minute: open, high, low, close."""
    found = []
    for minute, prices in enumerate(drawn, first):
        for n, price in enumerate(prices):
            time_ms = DAY_MS + minute * MINUTE_MS + n * 10_000
            found.append(f"{symbol},{price:.2f},10,{time_ms},buy,{minute * 10 + n + 1}")
    return found


def patterns(database: str, symbol: str) -> set[tuple[str, int, bool]]:
    """Name, minute of the completing candle, and whether it was retracted."""
    found = rows(
        database,
        "SELECT pattern, start_us / 60000000, retracted FROM patterns"
        " WHERE instrument = %s AND timeframe = '1m'",
        symbol,
    )
    first = DAY_MS // MINUTE_MS
    return {(name, minute - first, retracted) for name, minute, retracted in found}


def test_drawn_candles_are_found_and_a_late_tick_withdraws_them(pipeline: dict[str, str]) -> None:
    """A bullish engulfing is found at minute 20, and retracted when a late tick undoes it."""
    symbol, database = fresh_symbol("ENGULF"), pipeline["DATABASE_URL"]
    send_udp(pipeline["UDP_ADDR"], lines(symbol, ENGULFING))
    wanted = ("cdl_engulfing", 20, False)
    found = eventually(lambda: patterns(database, symbol), lambda f: wanted in f, 60)
    assert wanted in found
    api = pipeline["API_URL"]
    answer = web.get(f"{api}/api/patterns/{symbol}", params={"type": "cdl_engulfing"}).json()
    (told,) = (each for each in answer["patterns"] if each["timeframe"] == "1m")
    assert told["trigger_price"] == told["candle_data"]["close"] == "94"
    assert told["timestamp"] == DAY_MS + 21 * MINUTE_MS
    assert told["direction"] == 1
    assert "cdl_engulfing" in kandle("patterns", symbol, "--api-url", api).stdout
    late = f"{symbol},88.95,1,{DAY_MS + 20 * MINUTE_MS + 59_000},sell,999"
    send_udp(pipeline["UDP_ADDR"], [late])
    gone = ("cdl_engulfing", 20, True)
    found = eventually(lambda: patterns(database, symbol), lambda f: gone in f, 60)
    assert gone in found
    # More than by the rows of this symbol: other tests share the pipeline.
    moved = {
        ("kandle_patterns_detected_total", "active"),
        ("kandle_patterns_detected_total", "retracted"),
        ("kandle_events_received_total", "detect-pattern"),
        ("kandle_stocks_monitored", ""),
    }

    def still() -> set[tuple[str, str]]:
        series = scraped(pipeline["OBSERVE_URL"], ("status", "stage"))
        return {each for each in moved if series[each] < 1}

    assert eventually(still, lambda missing: not missing) == set()


def test_a_pattern_and_its_retraction_reach_a_watcher(pipeline: dict[str, str]) -> None:
    """A pattern and its retraction reach a watcher with history's fields and revisions."""
    symbol = fresh_symbol("WATCHED")
    with watching(pipeline, f"patterns:{symbol}") as socket:
        send_udp(pipeline["UDP_ADDR"], lines(symbol, ENGULFING))

        def said(frame: dict[str, Any], status: str) -> bool:
            data = frame.get("data", {})
            asked = ("cdl_engulfing", "1m", status)
            return (data.get("pattern_type"), data.get("timeframe"), data.get("status")) == asked

        found = until(socket, lambda frame: said(frame, "active"))[-1]["data"]
        assert found["timestamp"] == DAY_MS + 21 * MINUTE_MS
        late = f"{symbol},88.95,1,{DAY_MS + 20 * MINUTE_MS + 59_000},sell,999"
        send_udp(pipeline["UDP_ADDR"], [late])
        gone = until(socket, lambda frame: said(frame, "retracted"))[-1]["data"]
    assert gone["id"] == found["id"]
    assert gone["revision"] > found["revision"]

    def known() -> list[Any]:
        asked = {"status": "retracted", "timeframe": "1m"}
        answer = web.get(f"{pipeline['API_URL']}/api/patterns/{symbol}", params=asked)
        return [] if answer.status_code == 404 else list(answer.json()["patterns"])

    assert gone in eventually(known, lambda stored: gone in stored)


@pytest.mark.early
def test_a_killed_stage_and_a_lost_redis_lose_and_double_nothing(pipeline: dict[str, str]) -> None:
    """Kills of the stage and the loss of Redis give the same patterns as an undisturbed run."""
    database = pipeline["DATABASE_URL"]
    calm, rough = fresh_symbol("CALM"), fresh_symbol("ROUGH")
    drawn = [tuple(p + 30 * (n // 21 % 2) for p in ENGULFING[n % 21]) for n in range(84)]
    send_udp(pipeline["UDP_ADDR"], lines(calm, drawn))

    def detector() -> int:
        """Its process once ready and not killed; 0 while it starts."""
        components = load_status(Path(pipeline["DATA_DIR"]))["components"]
        (stage,) = (each for each in components if each["name"] == "detect-pattern")
        return int(stage["pid"]) if stage["state"] == "ready" and stage["pid"] != killed else 0

    killed = 0
    for part in range(4):
        here = drawn[part * 21 : part * 21 + 21]
        send_udp(pipeline["UDP_ADDR"], lines(rough, here, part * 21))
        enough = part * 21 + 10
        eventually(lambda: len(candles(pipeline["API_URL"], rough)), enough.__le__, 60)
        if part % 2 == 0:
            killed = eventually(detector, lambda pid: pid > 0, 60)
            os.kill(killed, signal.SIGKILL)
        else:
            redis.Redis.from_url(pipeline["REDIS_URL"]).flushdb()

    def both() -> tuple[Any, Any]:
        return patterns(database, calm), patterns(database, rough)

    def same(found: tuple[Any, Any]) -> bool:
        here = {each for each in found[1] if not each[2]}
        return len(found[0]) > 5 and {each for each in found[0] if not each[2]} == here

    in_peace, in_storm = eventually(both, same, 150)
    assert len(in_peace) > 5
    assert {each for each in in_storm if not each[2]} == {e for e in in_peace if not e[2]}


@contextmanager
def webhook(refusals: int) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """An address that accepts CloudEvents after some refusals, and those accepted."""
    taken: list[tuple[str, Any]] = []
    left = [refusals]

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            left[0] -= 1
            if left[0] < 0:
                taken.append((self.headers["ce-id"], body))
            self.send_response(503 if left[0] >= 0 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", taken
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("refusals", [2])
def test_an_alert_is_told_once_where_its_number_is_crossed(
    pipeline: dict[str, str], messenger: Messenger, refusals: int
) -> None:
    """A rule alerts once for each crossing upwards, although the sink refuses at first.

    A removed rule is silent. The messenger of ALERT_URLS gets each once as well.
    """
    symbol = fresh_symbol("ALERT")
    url = ("--database-url", pipeline["DATABASE_URL"])
    with webhook(refusals) as (sink, taken):
        added = kandle("alert", "add", f"{symbol} close > 100", "--sink", sink, *url)
        assert symbol in added.stdout
        assert added.stderr == ""
        never = kandle("alert", "add", f"{fresh_symbol('SILENT')} close > 1 on 60m", *url)
        assert "no candles of 60m are made here (TIMEFRAMES is 1m,5m" in never.stderr
        closes = [99, 101, 102, 99, 98, 103, 104]
        drawn = [(c, c + 1, c - 1, c) for c in closes]
        send_udp(pipeline["UDP_ADDR"], lines(symbol, drawn))
        eventually(lambda: len({id_ for id_, _ in taken}), lambda n: n >= 2, 60)
        told = {body["data"]["candle_start"]: body["data"]["value"] for _, body in taken}
        assert told == {DAY_MS + MINUTE_MS: "101", DAY_MS + 5 * MINUTE_MS: "103"}

        def notified() -> list[str]:
            title = f"{symbol} close > 100 on 1m"
            found = [each["message"] for each in messenger.taken if each["title"] == title]
            return sorted(each.partition(",")[0] for each in found)

        assert eventually(notified, lambda found: len(found) >= 2, 60) == ["at 101", "at 103"]
        listed = kandle("alert", "list", *url).stdout
        rule_id = next(row.split()[0] for row in listed.splitlines() if symbol in row)
        kandle("alert", "remove", rule_id, *url)
        assert symbol not in kandle("alert", "list", *url).stdout
