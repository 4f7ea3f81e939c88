"""Several charts on the page, each with its own symbol and timeframe, all live."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.browser import open_symbol, shown
from tests.e2e.client import fresh_symbol
from tests.e2e.test_live import post

MINUTE_MS = 60_000
FIRST_MS = 1_699_999_800_000


def test_two_charts_follow_two_series(page: Page, pipeline: dict[str, str]) -> None:
    """A second chart follows its own timeframe, then its own symbol, live and after a reload."""
    one, other = fresh_symbol("GRID"), fresh_symbol("BESIDE")
    post(pipeline, *(f"{one},{100 + n},1,{FIRST_MS + n * MINUTE_MS}" for n in range(12)))
    post(pipeline, f"{other},7,1,{FIRST_MS}")
    open_symbol(page, pipeline, one, 12)
    page.get_by_role("radio", name="2", exact=True).click()
    panel = page.locator(".panel")
    expect(panel).to_have_count(1)
    shown(page, lambda it: it["panelsDrawn"] == [3] and len(it["drawn"]) == 12)
    post(pipeline, f"{one},200,1,{FIRST_MS + 15 * MINUTE_MS}")
    shown(page, lambda it: it["panelsDrawn"] == [4] and len(it["drawn"]) == 13)

    panel.get_by_label("Symbol").fill(other)
    panel.get_by_label("Symbol").press("Enter")
    panel.get_by_label("Timeframe").select_option("1m")
    shown(page, lambda it: it["panelsDrawn"] == [1])
    post(pipeline, f"{other},8,1,{FIRST_MS + MINUTE_MS}")
    shown(page, lambda it: it["panelsDrawn"] == [2])
    expect(page).to_have_url(re.compile(rf"&layout=2&panel={other}/1m"))
    page.reload()
    kept = shown(page, lambda it: it["panelsDrawn"] == [2])
    assert kept["panels"] == [{"symbol": other, "timeframe": "1m", "indicators": []}]
    panel.get_by_role("button", name="Indicators of this chart", exact=True).click()
    page.get_by_role("searchbox", name="Add an indicator").fill("sma 2")
    page.keyboard.press("Enter")
    shown(page, lambda it: it["panelLines"] == [["SMA 2"]])
    page.keyboard.press("Escape")
    found = shown(page, lambda it: it["panels"][0]["indicators"] == ["sma:2"])
    assert found["settings"]["indicators"] == ["sma:20"]
    page.get_by_role("radio", name="1", exact=True).click()
    expect(panel).to_have_count(0)
