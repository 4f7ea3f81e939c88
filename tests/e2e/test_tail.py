"""`kandle tail` against a running Kandle."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from local.supervisor.component import tethered
from tests.e2e.client import eventually, fresh_symbol, kill, web
from tests.e2e.test_live import post, post_until_taken
from tests.platform import kandle

PATIENCE_S = 90
"""A test's timeout need not interrupt a read: another thread may get the signal."""
TRIED_S = 12.0
"""Broker display tries for 15 s to deliver what screens want."""


@contextmanager
def tailing(pipeline: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "local.cli.main", "tail", *arguments]
    where = ("--data-dir", pipeline["DATA_DIR"])
    with subprocess.Popen(
        tethered([*command, *where]), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        end = threading.Timer(PATIENCE_S, process.kill)
        end.start()
        try:
            yield process
        finally:
            end.cancel()
            process.kill()


def lines(process: subprocess.Popen[str], holds: Callable[[str], bool]) -> list[str]:
    """Its output up to the first line that satisfies."""
    assert process.stdout is not None
    found: list[str] = []
    for each in process.stdout:
        found.append(each.rstrip("\n"))
        if holds(found[-1]):
            return found
    raise AssertionError(found)


def test_a_line_a_message_until_ctrl_c(pipeline: dict[str, str]) -> None:
    """Ticks and candles are printed, the present first, until Ctrl-C ends it silently."""
    symbol, start_ms = fresh_symbol("TAIL"), 1_700_000_040_000
    post(pipeline, f"{symbol},10.50,2,{start_ms},buy,1")
    with tailing(pipeline, f"ticks:{symbol}", f"candles:1m:{symbol}") as process:
        first = f"2023-11-14 22:14:00  {symbol}  10.5 x 2"  # the snapshot has no side
        lines(process, lambda line: line.removesuffix("  buy") == first)
        post(pipeline, f"{symbol},11,1,{start_ms + 1000},sell,2")
        lines(process, lambda line: "C 11" in line and f"{symbol} 1m" in line)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")


def test_it_goes_on_where_it_was_cut(pipeline: dict[str, str]) -> None:
    """After a kill of live-feed it reports the loss, reconnects, and prints every tick once."""
    assert any(followed(pipeline) for _ in range(4)), "live-feed never came back in time"


def followed(pipeline: dict[str, str]) -> bool:
    """Kill live-feed; return False where it was away for longer than its Broker tries."""
    symbol = fresh_symbol("TAILCUT")
    with tailing(pipeline, f"ticks:{symbol}", "--json") as process:
        post(pipeline, f"{symbol},1,1,,,1")
        present = json.loads(lines(process, lambda line: True)[0])
        for n in itertools.count(2):  # until normalize knows that the symbol is watched
            post(pipeline, f"{symbol},1,1,,,{n}")
            if json.loads(lines(process, lambda line: True)[0])["seq"] > present["seq"]:
                break
        killed_s = time.monotonic()
        kill(pipeline, "live-feed")
        for price in range(2, 12):
            post_until_taken(pipeline, f"{symbol},{price},1,,,price-{price}")
        eventually(lambda: is_ready(pipeline["LIVE_URL"]), bool)
        if time.monotonic() - killed_s > TRIED_S:
            return False
        messages: list[dict[str, Any]] = []
        while len({each["data"]["price"] for each in messages} - {"1"}) < 10:
            # Events redelivered after the kill come last.
            messages += map(json.loads, lines(process, lambda line: True))
        prices = [int(each["data"]["price"]) for each in messages]
        assert sorted(price for price in prices if price > 1) == list(range(2, 12))
        places = [each["seq"] for each in messages]
        assert places == sorted(places)
        process.send_signal(signal.SIGTERM)
        assert "cut (" in process.communicate(timeout=30)[1]
        return True


def is_ready(url: str) -> bool:
    try:
        return web.get(f"{url}/health/readiness").is_success
    except httpx.TransportError:
        return False


def test_what_cannot_be_followed_is_told(pipeline: dict[str, str]) -> None:
    """An invalid channel or an unreachable address is an error."""
    refused = kandle("tail", "prices:A", "--data-dir", pipeline["DATA_DIR"], check=False)
    assert refused.returncode == 1
    assert "'prices:A' is not a channel" in refused.stderr
    away = kandle("tail", "ticks:A", "--live-url", "http://127.0.0.1:9", check=False)
    assert away.returncode == 1
    assert "nothing answers at http://127.0.0.1:9" in away.stderr
