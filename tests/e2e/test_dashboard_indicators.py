"""Indicators on the page: selected by name with parameters, and drawn as the API computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.browser import open_symbol, shown
from tests.e2e.client import fresh_symbol, web
from tests.e2e.test_live import post

MINUTE_MS = 60_000
FIRST_MS = 1_699_999_980_000
PRICES = [100 + (n * 7) % 11 for n in range(24)]


def computed(pipeline: Mapping[str, str], symbol: str, name: str) -> dict[str, list[list[float]]]:
    """Times and values of each column from the API."""
    url = f"{pipeline['API_URL']}/api/candles/{symbol}"
    answer = web.get(url, params={"indicators": name, "limit": 100}, timeout=60)
    found: dict[str, list[list[float]]] = {}
    for candle in answer.json()["candles"]:
        for column, value in candle["indicators"].items():
            if value is not None:
                found.setdefault(column.upper().replace(":", " "), []).append([candle["t"], value])
    return found


def drawn(state: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Times and values of each line of the chart."""
    return {
        line["name"]: [[point["t"], point["value"]] for point in line["points"]]
        for line in state["lines"]
    }


def test_indicators_are_drawn_as_the_api_computes_them(
    page: Page, pipeline: dict[str, str]
) -> None:
    """Indicators are drawn with the API's values, added, changed, removed and resized.

    A growing candle moves them; an invalid one has a reason.
    """
    symbol = fresh_symbol("LINES")
    post(
        pipeline,
        *(f"{symbol},{p},1,{FIRST_MS + n * MINUTE_MS}" for n, p in enumerate(PRICES)),
    )
    open_symbol(page, pipeline, symbol, len(PRICES))
    page.keyboard.press("i")
    add = page.get_by_role("searchbox", name="Add an indicator")
    add.fill("moving average convergence")
    expect(page.get_by_role("button", name="macd:12:26:9")).to_be_visible()
    add.fill("macd 3 6 3")
    page.keyboard.press("Enter")
    shown(page, lambda it: it["settings"]["indicators"] == ["sma:20", "macd:3:6:3"])
    wanted = computed(pipeline, symbol, "sma:20,macd:3:6:3")
    assert len(wanted) == 4
    shown(page, lambda it: drawn(it) == wanted)

    row = page.get_by_label("Parameters of MACD 3 6 3")
    row.fill("macd:0:6:3")
    row.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("macd:0:6:3")
    row.fill("rsi:5")
    row.press("Enter")
    shown(page, lambda it: it["settings"]["indicators"] == ["sma:20", "rsi:5"])
    page.get_by_role("button", name="Remove SMA 20").click()
    page.keyboard.press("Escape")
    wanted = computed(pipeline, symbol, "rsi:5")
    before = shown(page, lambda it: drawn(it) == wanted)
    words = page.locator("#chart .values").filter(has_text="RSI 5")
    expect(words).to_contain_text(f"{before['lines'][0]['points'][-1]['value']:.2f}")
    expect(words).to_have_count(1)
    top = words.bounding_box()
    assert top
    page.mouse.move(top["x"] + 200, top["y"] - 4)  # the border of its pane
    page.mouse.down()
    page.mouse.move(top["x"] + 200, top["y"] - 104, steps=4)
    page.mouse.up()
    page.wait_for_function(
        "y => document.querySelectorAll('#chart .values')[1].getBoundingClientRect().y < y - 50",
        arg=top["y"],
    )

    post(pipeline, f"{symbol},250,1,{FIRST_MS + (len(PRICES) - 1) * MINUTE_MS + 1_000}")
    shown(page, lambda it: drawn(before) != drawn(it) == computed(pipeline, symbol, "rsi:5"))
