"""Symbols on the dashboard: the watchlist, search, keyboard, address and window sizes."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from tests.e2e.browser import open_symbol, shown, state
from tests.e2e.client import candles, eventually, fresh_symbol
from tests.e2e.test_live import post


def test_symbols_timeframes_and_search_by_keyboard(page: Page, pipeline: dict[str, str]) -> None:
    """Arrows move between cards, digits change the timeframe, and / opens the search.

    In a dialog keys change nothing behind it.
    """
    prefix = fresh_symbol("KEYS")
    names = [f"{prefix}-{letter}" for letter in "AB"]
    for name in names:
        post(pipeline, f"{name},5,1,1700000040000", f"{name},6,1,1700000400000")
    eventually(lambda: candles(pipeline["API_URL"], names[1], "5m"), lambda found: len(found) == 2)
    open_symbol(page, pipeline, names[0], 2)
    shown(page, lambda it: it["symbols"] >= 2 and names[0] in it["visible"])
    page.keyboard.press("/")
    page.keyboard.type(prefix.lower())
    expect(page.locator(".card:visible")).to_have_count(2)
    page.locator("#search").blur()
    page.keyboard.press("ArrowDown")
    shown(page, lambda it: it["symbol"] == names[1] and len(it["candles"]) == 2)
    page.keyboard.press("2")
    found = shown(page, lambda it: it["timeframe"] == "5m" and len(it["candles"]) == 2)
    assert [c["c"] for c in found["candles"]] == ["5", "6"]
    chosen = page.get_by_role("radio", name="5m", exact=True)
    expect(chosen).to_have_attribute("aria-checked", "true")
    chosen.focus()
    page.keyboard.press("ArrowRight")
    shown(page, lambda it: it["timeframe"] == "15m" and len(it["candles"]) == 2)
    page.keyboard.press("?")
    page.locator("#sheet .close").focus()
    for key in ("1", "x", "Escape"):
        page.keyboard.press(key)
    found = state(page)
    assert (found["timeframe"], found["settings"]["hidden"]) == ("15m", [])


def test_no_chart_is_shown_under_the_name_of_another_symbol(
    page: Page, pipeline: dict[str, str]
) -> None:
    """While the history of a selected symbol is on its way, the former symbol's chart is hidden.

    A slow answer is reported.
    """
    prefix = fresh_symbol("SLOW")
    names = [f"{prefix}-{letter}" for letter in "AB"]
    post(pipeline, *(f"{name},5,1,1700000040000" for name in names))
    open_symbol(page, pipeline, names[0])
    drawn = page.locator("#chart > *").first
    expect(drawn).to_be_visible()
    page.route(f"**/api/candles/{names[1]}?*", lambda route: None)
    page.goto(f"{pipeline['LIVE_URL']}/#{names[1]}/1m")
    expect(page.locator("#title")).to_have_text(names[1])
    expect(page.locator("#chart")).to_have_attribute("aria-busy", "true")
    expect(drawn).to_be_hidden()
    expect(page.locator("#notice")).to_contain_text("Waiting for history")
    page.unroute(f"**/api/candles/{names[1]}?*")  # what is held goes on
    shown(page, lambda it: it["symbol"] == names[1] and len(it["candles"]) == 1)
    expect(drawn).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()


def test_nothing_stands_outside_the_window(page: Page, pipeline: dict[str, str]) -> None:
    """On desktop, tablet and phone nothing is cut off, and chart, cards and trades are visible.

    That is so with a long lag in the status and a price of 18 decimals.
    """
    symbol = fresh_symbol("SIZE")
    post(pipeline, f"{symbol},0.083571473780162486,1,1700000040000")
    open_symbol(page, pipeline, symbol)
    for width, height in ((1400, 850), (1000, 700), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(
            """([width, height]) => {
                const box = (selector) => document.querySelector(selector).getBoundingClientRect();
                const status = document.querySelector("#connection");
                status.textContent = "live · trades 14 s behind, candles 44 min behind";
                const { scrollWidth, scrollHeight } = document.documentElement;
                const [chart, card, side] = [box("#chart"), box(".card"), box("aside")];
                return scrollWidth <= width && scrollHeight <= height
                    && chart.height > 200 && chart.bottom <= height && chart.right <= width
                    && box(".card .last").right <= card.right
                    && document.querySelector("footer").scrollHeight <= 28
                    && side.height > 100 && side.right <= width;
            }""",
            arg=[width, height],
        )


def test_without_an_address_the_first_symbol_is_shown(page: Page, pipeline: dict[str, str]) -> None:
    """Without an address the first symbol's chart is shown as soon as there is one."""
    symbol = fresh_symbol("ANY")
    post(pipeline, f"{symbol},5,1,1700000040000")
    eventually(lambda: candles(pipeline["API_URL"], symbol), bool)
    page.goto(pipeline["LIVE_URL"])
    shown(
        page,
        lambda it: (
            len(it["candles"]) > 0 and it["visible"][:1] == [it["symbol"]] and all(it["visible"])
        ),
    )


def test_many_symbols_cost_no_request_each(page: Page, pipeline: dict[str, str]) -> None:
    """With 1,000 symbols the page makes one request for the visible cards."""
    prefix = fresh_symbol("MANY")
    now_ms = int(time.time() * 1000)
    names = [f"{prefix}-{n:04}" for n in range(1_000)]
    post(pipeline, *(f"{name},{n + 1},1,{now_ms}" for n, name in enumerate(names)))
    eventually(lambda: candles(pipeline["API_URL"], names[-1]), bool)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{pipeline['LIVE_URL']}/#{names[500]}/1m")
    shown(
        page,
        lambda it: (
            it["symbols"] >= 1_000 and names[500] in it["visible"] and len(it["candles"]) == 1
        ),
    )
    assert len(state(page)["visible"]) < 60
    assert page.locator(".card").count() < 60
    of_one_symbol = [url for url in asked if prefix in url and "/api/overview" not in url]
    assert all(names[500] in url for url in of_one_symbol)
    assert not any("symbols=all" in url for url in asked)
    page.locator("#search").fill(prefix)
    page.locator("#cards").evaluate("box => box.scrollTo({ top: 0 })")
    come_into_view = page.locator(f'.card[data-symbol="{names[0]}"] .side')
    expect(come_into_view).to_have_text("+0.00 %")


def test_the_address_is_read_again_and_an_unknown_symbol_says_so(
    page: Page, pipeline: dict[str, str]
) -> None:
    """A changed hash shows another chart, and an unknown symbol is reported."""
    one, other = fresh_symbol("HASHA"), fresh_symbol("HASHB")
    for name in (one, other):
        post(pipeline, f"{name},5,1,1700000040000")
    open_symbol(page, pipeline, one)
    page.evaluate(f"location.hash = '#{other}/5m?scale=log&layout=2&panel={one}/1h'")
    found = shown(
        page,
        lambda it: it["symbol"] == other and it["timeframe"] == "5m" and len(it["panels"]) == 1,
    )
    assert found["settings"]["scale"] == "log"
    assert [(each["symbol"], each["timeframe"]) for each in found["panels"]] == [(one, "1h")]
    page.evaluate(f"location.hash = '#{one}/5m?scale=linear&layout=2&panel={other}/4h'")
    shown(page, lambda it: [each["timeframe"] for each in it["panels"]] == ["4h"])
    page.go_back()
    found = shown(page, lambda it: it["symbol"] == other and len(it["candles"]) == 1)
    assert found["settings"]["scale"] == "linear"
    assert [each["timeframe"] for each in found["panels"]] == ["4h"]
    page.locator("#layouts button").first.click()
    nobody = fresh_symbol("NOBODY")
    page.evaluate(f"location.hash = '#{nobody}/1m'")
    expect(page.locator("#notice")).to_contain_text(f"No symbol {nobody}")
    assert state(page)["candles"] == []
    post(pipeline, f"{nobody},7,1,1700000040000")
    shown(page, lambda it: it["last"] == "7" and len(it["candles"]) == 1)
    expect(page.locator("#notice")).to_be_hidden()
