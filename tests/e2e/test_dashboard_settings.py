"""A visitor's choices on the dashboard: they persist, and are saved to a file as the view is."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import open_symbol, shown, state
from tests.e2e.client import candles, fresh_symbol
from tests.e2e.test_live import post

MINUTE_MS = 60_000
FIRST_MS = 1_700_000_040_000


def sent(pipeline: dict[str, str], name: str, *prices: str) -> str:
    """A fresh symbol with a trade a minute."""
    symbol = fresh_symbol(name)
    post(pipeline, *(f"{symbol},{p},1,{FIRST_MS + n * MINUTE_MS}" for n, p in enumerate(prices)))
    return symbol


def test_choices_outlive_the_page_and_go_along_as_a_file(
    page: Page, pipeline: dict[str, str], tmp_path: Path
) -> None:
    """Style, scale, indicators, tab and zone persist, and a file restores them after a reset."""
    symbol = sent(pipeline, "CHOSEN", "10", "12")
    open_symbol(page, pipeline, symbol, 2)
    page.select_option("#style", "heikin-ashi")
    page.select_option("#scale", "log")
    page.keyboard.press("i")
    page.get_by_role("searchbox", name="Add an indicator").fill("rsi")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Parameters of RSI 14")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Patterns").click()
    page.locator("#chart").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("favourite: first in the list")
    page.select_option("#zone", "local")
    chosen = {
        "style": "heikin-ashi",
        "scale": "log",
        "tab": "patterns",
        "zone": "local",
        "indicators": ["sma:20", "rsi:14"],
        "symbol": symbol,
        "timeframe": "1m",
    }
    with page.expect_download() as download:
        page.get_by_role("button", name="Export settings", exact=True).click()
    file = tmp_path / "settings.json"
    download.value.save_as(file)
    assert chosen.items() <= json.loads(file.read_text()).items()
    page.reload()
    found = shown(page, lambda it: len(it["drawn"]) == 2)
    assert chosen.items() <= found["settings"].items()
    # Heikin-Ashi: the second opens in the middle of the first body
    assert [(bar["open"], bar["close"]) for bar in found["drawn"]] == [(10, 10), (10, 12)]
    expect(page.locator("#patterns")).to_be_visible()
    page.keyboard.press("?")
    with page.expect_event("load"):
        page.get_by_role("button", name="Reset", exact=True).click()
    shown(page, lambda it: it["settings"]["style"] == "candles" and len(it["drawn"]) == 2)
    page.keyboard.press("?")
    with page.expect_event("load"):
        page.locator("#import").set_input_files(file)
    shown(page, lambda it: it["settings"]["style"] == "heikin-ashi" and len(it["drawn"]) == 2)


def test_favourites_come_first_and_hidden_symbols_do_not_come(
    page: Page, pipeline: dict[str, str]
) -> None:
    """Favourites are first and hidden symbols absent, by key and button.

    A sheet shows the hidden ones again.
    """
    favourite, hidden = sent(pipeline, "ZFAVOURITE", "1"), sent(pipeline, "ZHIDDEN", "1")
    open_symbol(page, pipeline, favourite)
    shown(page, lambda it: it["symbols"] >= 2)
    page.keyboard.press("f")
    shown(page, lambda it: it["listed"][0] == favourite)
    open_symbol(page, pipeline, hidden)
    count = shown(page, lambda it: it["symbols"] >= 2)["symbols"]
    page.get_by_role("button", name="Hide this symbol", exact=True).click()
    shown(page, lambda it: it["symbols"] == count - 1 and hidden not in it["listed"])
    page.goto("about:blank")
    page.goto(pipeline["LIVE_URL"])
    found = shown(page, lambda it: it["symbol"] != "" and it["symbols"] > 0)
    assert (found["symbol"], found["listed"][0]) == (favourite, favourite)
    page.keyboard.press("?")
    with page.expect_event("load"):
        page.get_by_role("button", name="Show 1 hidden symbols").click()
    shown(page, lambda it: it["settings"]["hidden"] == [] and it["symbols"] >= count)


def test_the_list_has_the_columns_that_are_chosen(page: Page, pipeline: dict[str, str]) -> None:
    """The list shows the day's high and low when selected, after a reload too."""
    symbol = fresh_symbol("COLUMNS")
    now_ms = time.time_ns() // 1_000_000
    post(pipeline, *(f"{symbol},{price},2,{now_ms - 5}" for price in ("10.5", "12.25", "11")))
    open_symbol(page, pipeline, symbol)
    page.locator("#columns summary").click()
    for name in ("high", "low", "volume"):
        page.get_by_role("checkbox", name=name, exact=True).check()
    card = page.locator(f'.card[data-symbol="{symbol}"]')
    expect(page.locator("#heads button")).to_have_text(["high", "low", "volume"])
    expect(card.locator(".extra")).to_have_text(["12.25", "10.50", "6"], timeout=30_000)
    page.reload()
    expect(card.locator(".extra")).to_have_text(["12.25", "10.50", "6"], timeout=30_000)


def test_a_group_is_made_shown_and_sorted(page: Page, pipeline: dict[str, str]) -> None:
    """A group is created, shown alone, sorted by a column both ways, and changed."""
    dear, cheap = sent(pipeline, "GROUPED", "900"), sent(pipeline, "GROUPED", "5")
    open_symbol(page, pipeline, dear)
    page.keyboard.press("g")
    page.get_by_label("Name of a new group").fill("majors")
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox", name="majors", exact=True)).to_be_checked()
    page.keyboard.press("Escape")
    page.keyboard.press("G")
    shown(page, lambda it: it["listed"] == [dear])
    page.locator("#search").fill(f"{cheap}X")
    expect(page.locator("#cards")).to_have_text(f"No symbol contains {cheap}X.")
    page.locator("#search").fill(cheap)  # among all symbols
    page.keyboard.press("Enter")
    shown(page, lambda it: it["symbol"] == cheap)
    page.keyboard.press("a")
    shown(page, lambda it: sorted(it["listed"]) == sorted([dear, cheap]))
    page.select_option("#sort", "price")
    shown(page, lambda it: it["listed"] == [dear, cheap])
    page.locator("#way").click()
    shown(page, lambda it: it["listed"] == [cheap, dear])
    page.locator("#chart").focus()
    page.keyboard.press("x")
    shown(page, lambda it: it["listed"] == [dear])
    page.reload()
    shown(page, lambda it: it["listed"] == [dear] and it["settings"]["group"] == "majors")


def test_times_and_numbers_are_written_as_chosen(page: Page, pipeline: dict[str, str]) -> None:
    """Times are in the selected zone, and numbers with a comma and without trailing zeros."""
    symbol = sent(pipeline, "WRITTEN", "1234.25", "1234.50")
    open_symbol(page, pipeline, symbol, 2)
    expect(page.locator("#price")).to_have_text("1,234.50")
    page.keyboard.press("?")
    page.select_option("#zone", "XTKS")
    page.select_option("#numbers", "1.234,5")
    page.select_option("#digits", "trimmed")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator("#price")).to_have_text("1.234,5")
    expect(page.locator("#zone-name")).to_have_text("Asia/Tokyo")
    expect(page.locator("#tape tbody tr").last).to_contain_text("07:14:00.000")
    expect(page.locator("#legend")).to_contain_text("2023-11-15 07:15")


DENIED = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied') } })"


def test_the_page_works_where_it_may_store_nothing(
    browser: Browser, pipeline: dict[str, str]
) -> None:
    """Choices last as long as the page."""
    symbol = sent(pipeline, "DENIED", "7")
    with browser.new_page() as page:
        page.add_init_script(DENIED)
        open_symbol(page, pipeline, symbol)
        page.keyboard.press("t")
        page.select_option("#scale", "log")
        shown(page, lambda it: it["settings"]["scale"] == "log" and it["last"] == "7")


def test_what_is_seen_is_saved(page: Page, pipeline: dict[str, str], tmp_path: Path) -> None:
    """The view is saved as CSV with the API's exact texts, and as a picture."""
    symbol = sent(pipeline, "SAVED", "0.123456789012345678", "0.2")
    open_symbol(page, pipeline, symbol, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    file = tmp_path / download.value.suggested_filename
    assert file.name.startswith(f"{symbol}-1m-")
    assert file.suffix == ".csv"
    download.value.save_as(file)
    _, *rows = [line.split(",") for line in file.read_text().splitlines()]
    assert [row[4] for row in rows] == [c["c"] for c in candles(pipeline["API_URL"], symbol)]
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG", exact=True).click()
    picture = tmp_path / "picture.png"
    download.value.save_as(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_address_holds_what_is_shown(
    page: Page, pipeline: dict[str, str], browser: Browser
) -> None:
    """The address restores time, indicators, scale and style in another browser."""
    symbol = sent(pipeline, "PASSED", *(str(100 + n % 7) for n in range(90)))
    open_symbol(page, pipeline, symbol, 90)
    page.select_option("#scale", "log")
    page.select_option("#style", "line")
    page.locator("#chart").focus()
    for key in ("+", "+", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("scale=log.*&to="))
    seen = shown(page, lambda it: it["view"]["to"] is not None and len(it["view"]) == 2)["view"]
    expect(page).to_have_url(re.compile(f"&to={seen['to']}$"))
    with browser.new_context() as elsewhere:
        other = elsewhere.new_page()
        other.goto(page.url)
        found = shown(other, lambda it: it["view"] == seen)
        assert (found["settings"]["scale"], found["settings"]["style"]) == ("log", "line")
        assert found["settings"]["indicators"] == ["sma:20"]


def test_back_leads_to_the_symbol_before(page: Page, pipeline: dict[str, str]) -> None:
    """The browser's back button shows the previous symbol, and forward the next."""
    first, second = sent(pipeline, "BACK", "1"), sent(pipeline, "BACK", "2")
    open_symbol(page, pipeline, first)
    shown(page, lambda it: it["symbols"] >= 2)
    page.locator("#search").fill(second)
    page.keyboard.press("Enter")
    shown(page, lambda it: it["symbol"] == second)
    page.go_back()
    shown(page, lambda it: it["symbol"] == first)
    page.go_forward()
    shown(page, lambda it: it["symbol"] == second)
    assert state(page)["timeframe"] == "1m"
