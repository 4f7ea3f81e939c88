"""Information bars on the page as the API makes them; rejects."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import APIResponse, Page, Route, expect

from tests.e2e.browser import open_symbol, shown
from tests.e2e.client import fresh_symbol, send_udp, wait_until_applied, web
from tests.e2e.test_live import post

FIRST_MS = 1_700_000_040_000
SHOWN = ("o", "h", "l", "c", "v", "n", "closed")


def test_bars_are_chosen_drawn_and_followed(
    page: Page, pipeline: dict[str, str], tmp_path: Path
) -> None:
    """Bars are selected by type and size, drawn back to the first, followed live and saved.

    With indicators, and from the address.
    """
    symbol = fresh_symbol("BARS")
    count = 2_100  # more bars than a page, three of them in a millisecond
    post(
        pipeline,
        *(f"{symbol},{100 + n % 7},1,{FIRST_MS + n // 9},buy,{n}" for n in range(count)),
    )
    wait_until_applied(pipeline, symbol, count)
    open_symbol(page, pipeline, symbol)
    page.keyboard.press("b")
    page.select_option("#frame-kind", "tick")
    page.locator("#frame-size").fill("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="3 ticks", exact=True)).to_have_attribute(
        "aria-checked", "true"
    )
    expect(page).to_have_url(re.compile(rf"#{symbol}/tick:3\?"))
    url = f"{pipeline['API_URL']}/api/bars/{symbol}"

    def known() -> list[list[object]]:
        bars = web.get(url, params={"type": "tick:3", "limit": "10000"}).json()["bars"]
        return [[each[name] for name in SHOWN] for each in bars]

    shown(page, lambda it: len(it["drawn"]) == 500)
    page.get_by_role("button", name="1H", exact=True).click()  # all of it, page after page
    wanted = known()
    assert len(wanted) == count // 3
    found = shown(page, lambda it: [[c[k] for k in SHOWN] for c in it["candles"]] == wanted)
    assert len(found["drawn"]) == len(wanted)
    shown(page, lambda it: [len(line["points"]) for line in it["lines"]] == [len(wanted) - 19])
    later_ms = FIRST_MS + count
    post(pipeline, *(f"{symbol},{200 + n},1,{later_ms + n},buy,{count + n}" for n in range(4)))
    found = shown(
        page,
        lambda it: (
            it["candles"][-1]["c"] == "203"
            and [[c[k] for k in SHOWN] for c in it["candles"]] == known()
        ),
    )
    files = {}
    for kind in ("CSV", "PNG"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    head, *rows = [line.split(",") for line in files["CSV"].read_text().splitlines()]
    assert head[-1] == "end"
    seen = [bar for bar in found["candles"] if bar["t"] >= found["view"]["from"]]
    assert [row[1:6] for row in rows] == [[bar[k] for k in "ohlcv"] for bar in seen]
    assert files["PNG"].name.startswith(f"{symbol}-tick_3-")
    assert files["PNG"].read_bytes().startswith(b"\x89PNG")
    page.reload()
    shown(page, lambda it: [c["c"] for c in it["candles"]][-1:] == ["203"])


def test_bars_that_are_older_than_the_feed_do_not_stay(
    page: Page, pipeline: dict[str, str]
) -> None:
    """Bars of history that arrive after newer live ones do not replace them."""
    symbol = fresh_symbol("LATEBARS")
    post(pipeline, *(f"{symbol},{100 + n},1,{FIRST_MS + n},buy,{n}" for n in range(5)))
    wait_until_applied(pipeline, symbol, 5)
    open_symbol(page, pipeline, symbol)
    requests = itertools.count()
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if next(requests) == 1:  # the request after the subscription
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route(f"**/api/bars/{symbol}?*limit=500*", hold)
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/tick:2")
    shown(page, lambda it: bool(held) and closes(it) == ["101", "103", "104"])
    post(pipeline, *(f"{symbol},{200 + n},1,{FIRST_MS + 5 + n},buy,{5 + n}" for n in range(4)))
    shown(page, lambda it: closes(it)[-1:] == ["203"])
    route, response = held[0]
    route.fulfill(response=response)
    shown(page, lambda it: closes(it) == ["101", "103", "200", "202", "203"])


def closes(state: dict[str, Any]) -> list[str]:
    return [each["c"] for each in state["candles"]]


def test_rejects_are_counted_and_listed(page: Page, pipeline: dict[str, str]) -> None:
    """Rejects are counted in the footer and listed with reason and original."""
    mark = fresh_symbol("REJECTED")
    send_udp(pipeline["UDP_ADDR"], [f"{mark},nothing,1"])
    page.goto(pipeline["LIVE_URL"])
    expect(page.locator("#letters-open")).to_contain_text("dead letters")
    page.locator("#rejects-open").click()
    row = page.locator("#reject-rows tr").filter(has_text=mark)
    expect(row).to_contain_text("is not a decimal number", timeout=60_000)
    expect(page.locator("#input-message")).to_contain_text("kandle rejects replay")
