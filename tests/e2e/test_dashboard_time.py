"""Time on the dashboard: late trades, lag, a quiet market, gaps, and a replay of stored time."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.e2e.browser import (
    connection,
    open_symbol,
    send_until_live,
    shown,
    state,
    tape_prices,
)
from tests.e2e.client import candles, eventually, fresh_symbol, wait_until_applied, web
from tests.e2e.test_display import hung
from tests.e2e.test_live import post

MINUTE_MS = 60_000


def test_a_late_trade_moves_no_last_price(page: Page, pipeline: dict[str, str]) -> None:
    """A late trade is in its place of the tape, marked, and does not change the last price."""
    symbol = fresh_symbol("LATETAPE")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},150.5,1,{start_ms},buy,1")
    open_symbol(page, pipeline, symbol)
    send_until_live(
        page, pipeline, lambda n: f"{symbol},150.65,1,{start_ms + 30_000 + n},buy,{1 + n}"
    )
    post(pipeline, f"{symbol},158.88,1,{start_ms + 10_000},sell,100")
    row = page.locator("#tape tbody tr")
    expect(page.locator("#tape tr.late")).to_contain_text("late")
    expect(tape_prices(page).first).to_have_text("150.65")
    expect(row.nth(-2)).to_contain_text("158.88")
    expect(row.nth(-1)).to_contain_text("150.50")
    candle = {"h": "158.88", "c": "150.65"}
    assert shown(page, lambda it: candle.items() <= it["candles"][0].items())["last"] == "150.65"
    expect(page.locator("#last")).to_have_text(re.compile(r"last trade \d+ d ago"))  # by event time
    expect(page.locator("#price")).to_have_text("150.65")
    expect(page.locator(f'.card[data-symbol="{symbol}"] .last')).to_have_text("150.65")


def test_cancelled_and_corrected_trades_are_marked(page: Page, pipeline: dict[str, str]) -> None:
    """Cancelled and corrected trades are marked in the tape, live and from history.

    A correction is beside its trade, and the candle follows.
    """
    symbol = fresh_symbol("BUSTTAPE")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},999,1,{start_ms},buy,100", f"{symbol},7.5,1,{start_ms + 1},buy,101")
    open_symbol(page, pipeline, symbol)
    send_until_live(
        page, pipeline, lambda n: f"{symbol},8.{n % 10},1,{start_ms + 9_000 + n},buy,{1 + n}"
    )
    busts = [{"cancel": 100, "symbol": symbol}, {"correct": 101, "symbol": symbol, "price": "7.25"}]
    web.post(pipeline["INGEST_URL"], json=busts).raise_for_status()

    def is_marked() -> None:
        expect(page.locator("#tape tr.cancelled")).to_contain_text("999")
        expect(page.locator("#tape tr.corrected")).to_contain_text("7.5")
        expect(page.locator("#tape tr.correction")).to_contain_text("7.25")

    is_marked()
    url = f"{pipeline['API_URL']}/api/ticks/{symbol}"
    eventually(
        lambda: [t["ended"] for t in web.get(url, params={"from": "0"}).json()["ticks"]],
        lambda found: sum(ended is not None for ended in found) == 2,
    )
    post(pipeline, f"{symbol},8,1,{start_ms + 10 * MINUTE_MS},buy,200")  # its candle is closed
    shown(page, lambda it: it["candles"][0]["h"] not in ("999", "7.5"), 120)
    page.reload()
    is_marked()


def test_trades_are_shown_while_candles_lag(page: Page, pipeline: dict[str, str]) -> None:
    """Trades are shown while candles lag, which the page reports and later fills."""
    symbol = fresh_symbol("LAGCANDLES")
    post(pipeline, f"{symbol},1.5,1,,buy,1")
    open_symbol(page, pipeline, symbol)
    last = 1 + send_until_live(
        page, pipeline, lambda n: f"{symbol},{n + 1}.5,1,,buy,{n + 1}", "candles"
    )

    def trade() -> str:
        nonlocal last
        last += 1
        post(pipeline, f"{symbol},{last}.5,1,,buy,{last}")
        return connection(page).text_content() or ""

    with hung(pipeline, "candle-aggregate"):
        eventually(trade, lambda said: re.search("candles .* behind", said) is not None)
        expect(page.locator("#price")).to_have_text(f"{last}.5")
        assert sum(each["n"] for each in state(page)["candles"]) < last
        page.reload()  # a page without any live candle reports it too
        eventually(trade, lambda said: re.search("candles .* behind", said) is not None)
        expect(connection(page)).to_have_text(re.compile("candles .* behind"))
    shown(page, lambda it: sum(each["n"] for each in it["candles"]) == last)
    expect(tape_prices(page)).to_have_text([f"{n}.5" for n in range(last, 0, -1)])


def test_a_lag_is_said_in_words(page: Page, pipeline: dict[str, str]) -> None:
    """A lag of shown trades is amber or red, with its length."""
    symbol = fresh_symbol("BEHIND")
    post(pipeline, f"{symbol},1,1,,,1")
    open_symbol(page, pipeline, symbol)
    send_until_live(page, pipeline, lambda n: f"{symbol},1,1,,,{1 + n}")
    with hung(pipeline, "normalize"):
        post(pipeline, f"{symbol},2,1,,,100")
        # A lag is worth a word from two seconds on, by a clock that the page estimates.
        page.wait_for_timeout(4_000)
    behind = page.locator("#connection:is([data-age=amber], [data-age=red])")
    expect(behind).to_have_text(re.compile(r"live · .*trades .* behind"))
    send_until_live(page, pipeline, lambda n: f"{symbol},3,1,,,{100 + n}", "candles")
    expect(connection(page)).to_have_text(re.compile(r"^live · (?!.*trades \d+ s behind)"))


def test_a_quiet_market_looks_quiet(page: Page, pipeline: dict[str, str]) -> None:
    """Two minutes after the last trade the feed is shown as live and the price dimmed."""
    symbol = fresh_symbol("QUIET")
    page.clock.install()
    post(pipeline, f"{symbol},7.5,1,,,1")
    open_symbol(page, pipeline, symbol)
    expect(page.locator("#price")).to_have_text("7.5")
    expect(page.locator("#price.stale")).to_have_count(0)
    page.clock.fast_forward(120_000)
    page.locator("#price.stale").wait_for(timeout=90_000)
    expect(page.locator("#last")).to_contain_text("ago")
    expect(page.locator("#connection[data-age=good]")).to_contain_text("live · quiet")
    post(pipeline, f"{symbol},7.75,1,,,2")
    expect(page.locator("#price")).to_have_text("7.75")


def test_a_gap_in_time_looks_like_one(page: Page, pipeline: dict[str, str]) -> None:
    """Five minutes without a trade are five empty places in the chart."""
    symbol = fresh_symbol("HOLE")
    start_ms = 1_700_000_040_000
    post(pipeline, *(f"{symbol},5,1,{start_ms + n * MINUTE_MS}" for n in (0, 1, 7)))
    open_symbol(page, pipeline, symbol, 3)
    shown(page, lambda it: it["gaps"] == 5)
    post(pipeline, f"{symbol},6,1,{start_ms + 10 * MINUTE_MS}")
    shown(page, lambda it: len(it["candles"]) == 4 and it["gaps"] == 7)


def test_a_stored_hour_is_played_on_the_page(page: Page, pipeline: dict[str, str]) -> None:
    """A stored hour is replayed with its earlier candles and paused; then the page is live."""
    symbol, start_ms, minutes = fresh_symbol("REPLAYED"), 1_700_000_040_000, 60
    sent = [f"{symbol},{100 + n}.5,1,{start_ms + n * 5_000},buy,{n}" for n in range(minutes * 12)]
    post(pipeline, *sent)
    newest = f"{99 + minutes * 12}.5"
    open_symbol(page, pipeline, symbol, minutes)
    wait_until_applied(pipeline, symbol, len(sent))  # a replay plays what is stored
    known = candles(pipeline["API_URL"], symbol)
    assert known[-1]["c"] == newest
    page.locator("#replay").click()
    ten_minutes_and_a_half = "2023-11-14T22:24:30"
    page.locator("#replay-from").fill(ten_minutes_and_a_half)
    page.locator("#replay-speed").select_option("60")
    play = page.locator("#replay-play")
    play.click()
    expect(connection(page)).to_contain_text("replay · 60")
    found = shown(page, lambda it: it["replay"]["state"] == "playing" and len(it["candles"]) >= 12)
    assert found["candles"][9]["closed"]
    play.filter(has_text="Pause").click()
    paused = shown(page, lambda it: it["replay"]["state"] == "paused")
    assert len(paused["candles"]) < minutes
    price = paused["last"]
    assert 100.5 < float(price) < float(newest)
    expect(page.locator("#price")).to_have_text(price)
    expect(tape_prices(page).first).to_have_text(price)
    post(pipeline, f"{symbol},7777,1,{start_ms + (minutes + 5) * MINUTE_MS},buy,7777")
    eventually(lambda: candles(pipeline["API_URL"], symbol), lambda it: it[-1]["c"] == "7777")
    assert state(page)["last"] == price  # what happens now is not shown in the past
    page.locator("#replay-speed").select_option("3600")
    play.filter(has_text="Resume").click()
    played = shown(page, lambda it: it["last"] == newest and it["candles"][-1]["closed"])
    same = ("t", "o", "h", "l", "c", "v", "n")
    assert [[c[k] for k in same] for c in played["candles"]] == [
        [c[k] for k in same] for c in known
    ]
    page.locator("#replay-live").click()
    eventually(lambda: candles(pipeline["API_URL"], symbol), lambda it: it[-2]["closed"])
    shown(
        page,
        lambda it: (
            it["replay"]["state"] == "off"
            and [c["revision"] for c in it["candles"]]
            == [c["revision"] for c in candles(pipeline["API_URL"], symbol)]
        ),
    )
    expect(connection(page)).to_contain_text("live")
