"""Reads the state of the dashboard's page in a browser test."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.client import candles, eventually
from tests.e2e.test_live import post


def state(page: Page) -> dict[str, Any]:
    """The contents of chart, tape and watchlist."""
    found: dict[str, Any] = page.evaluate("window.kandle.state()")
    return found


def shown(
    page: Page, holds: Callable[[dict[str, Any]], bool], seconds: float = 60
) -> dict[str, Any]:
    """The state once the condition holds."""
    deadline = time.monotonic() + seconds
    while not holds(found := state(page)):
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(100)
    return found


def open_symbol(
    page: Page, pipeline: dict[str, str], symbol: str, candle_count: int = 1
) -> dict[str, Any]:
    """Open a symbol's one-minute chart; return its state once candles are shown live."""
    api = pipeline["API_URL"]
    assert len(eventually(lambda: candles(api, symbol), lambda f: len(f) == candle_count)) > 0
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    expect(connection(page)).to_contain_text("live")
    return shown(page, lambda it: it["symbol"] == symbol and len(it["candles"]) == candle_count)


def send_until_live(
    page: Page, pipeline: dict[str, str], line: Callable[[int], str], kind: str = "trades"
) -> int:
    """Send trade after trade until one, or with "candles" its candle, has come over the live feed.

    Return how many it took.
    """
    deadline = time.monotonic() + 60
    for n in itertools.count(1):
        post(pipeline, line(n))
        for _ in range(10):
            if state(page)["ages"].get(kind) is not None:
                return n
            page.wait_for_timeout(100)
        assert time.monotonic() < deadline, state(page)
    raise AssertionError


def connection(page: Page) -> Locator:
    """The shown texts of the connection and of the ages."""
    return page.locator("#connection")


def tape_prices(page: Page) -> Locator:
    """The prices of the tape, the latest trade first."""
    return page.locator("#tape tbody td:nth-child(2)")
