"""The dashboard in a real browser, against a running Kandle: chart, tape, patterns and alerts."""

from __future__ import annotations

import random
import time
from typing import Any

from playwright.sync_api import Page, expect

from shared.schema.ticker_pb2 import TickerUpdate
from tests.e2e.browser import connection, open_symbol, shown, tape_prices
from tests.e2e.client import (
    candles,
    eventually,
    fresh_symbol,
    kill,
    send_udp,
    wait_until_applied,
    web,
)
from tests.e2e.test_live import post, post_until_taken
from tests.e2e.test_patterns import DAY_MS, ENGULFING, MINUTE_MS, lines

CONNECTION = "document.querySelector('#connection').textContent"
SHOWN = ("t", "o", "h", "l", "c", "v", "n", "revision", "closed")


def test_the_seam_between_history_and_live_is_exact(page: Page, pipeline: dict[str, str]) -> None:
    """The chart has the API's candles once each, from history and from ticks that arrive later."""
    symbol = fresh_symbol("SEAM")
    start_ms = 1_700_000_040_000
    post(
        pipeline,
        *(f"{symbol},{100 + n}.5,1,{start_ms + n * MINUTE_MS},buy,{n}" for n in range(30)),
    )
    open_symbol(page, pipeline, symbol, 30)
    first_ms = start_ms + 29 * MINUTE_MS
    live = [f"{symbol},{200 + n}.25,2,{first_ms + n * 15_000},sell,{1000 + n}" for n in range(40)]
    for n in range(0, 40, 5):
        post(pipeline, *live[n : n + 5])
    known: list[dict[str, Any]] = []

    def agrees(it: dict[str, Any]) -> bool:
        known[:] = candles(pipeline["API_URL"], symbol)  # the last one closes meanwhile
        rows = [[[c[k] for k in SHOWN] for c in some] for some in (it["candles"], known)]
        return known[-1]["c"] == "239.25" and rows[0] == rows[1]

    found = shown(page, agrees)
    assert [bar["time"] * 1000 for bar in found["drawn"]] == [c["t"] for c in known]
    assert [bar["close"] for bar in found["drawn"]] == [float(c["c"]) for c in known]


def test_a_late_tick_corrects_a_drawn_candle(page: Page, pipeline: dict[str, str]) -> None:
    """After a late tick the closed candle changes in place and is marked as corrected."""
    symbol = fresh_symbol("CORRECT")
    start_ms = 1_700_000_040_000
    post(pipeline, *(f"{symbol},{10 + n},1,{start_ms + n * MINUTE_MS}" for n in range(5)))
    open_symbol(page, pipeline, symbol, 5)
    shown(page, lambda it: it["candles"][1]["closed"])
    post(pipeline, f"{symbol},99,1,{start_ms + MINUTE_MS + 30_000}")
    found = shown(page, lambda it: it["candles"][1]["h"] == "99" and bool(it["corrected"]))
    assert found["corrected"] == [start_ms + MINUTE_MS]
    assert found["drawn"][1]["high"] == 99
    assert len(found["drawn"]) == 5


def test_volume_by_price_is_drawn_beside_the_chart(page: Page, pipeline: dict[str, str]) -> None:
    """Volume by price is drawn by side for the visible time, and delta in its own pane."""
    symbol, start_ms = fresh_symbol("LEVELS"), 1_700_000_040_000
    sides = ("buy", "sell", "sell")
    post(
        pipeline,
        *(
            f"{symbol},{100 + n % 5},{n},{start_ms + n * MINUTE_MS},{sides[n % 3]},{n}"
            for n in range(1, 31)
        ),
    )
    open_symbol(page, pipeline, symbol, 30)
    page.get_by_role("button", name="Delta", exact=True).click()
    expect(page.get_by_role("button", name="Delta", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("button", name="Profile", exact=True).click()
    bought = sum(n for n in range(1, 31) if sides[n % 3] == "buy")
    found = shown(page, lambda it: sum(each["volume"] for each in it["profile"]) == 465)
    assert sum(each["bought"] for each in found["profile"]) == bought
    assert {round(each["price"]) for each in found["profile"]} == set(range(100, 105))
    page.get_by_role("button", name="Profile", exact=True).click()
    shown(page, lambda it: it["profile"] == [])


def test_a_bad_print_keeps_off_the_price_axis(page: Page, pipeline: dict[str, str]) -> None:
    """The candle of a bad print is marked, and the price axis fits the others."""
    symbol, start_ms = fresh_symbol("SPIKE"), 1_700_000_040_000
    post(
        pipeline,
        *(f"{symbol},{100 + n % 5},1,{start_ms + n * MINUTE_MS}" for n in range(30)),
        f"{symbol},3500,1,{start_ms + 20 * MINUTE_MS + 1_000}",
        f"{symbol},101,1,{start_ms + 20 * MINUTE_MS + 2_000}",
    )
    open_symbol(page, pipeline, symbol, 30)
    found = shown(page, lambda it: it["outliers"] == [start_ms + 20 * MINUTE_MS])
    assert found["candles"][20]["h"] == "3500"
    assert found["top"] < 110


def test_the_page_survives_a_restart_of_live_feed(page: Page, pipeline: dict[str, str]) -> None:
    """After a restart of live-feed the page reconnects by itself and misses nothing."""
    symbol = fresh_symbol("RESTART")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},1,1,{start_ms}")
    open_symbol(page, pipeline, symbol)
    kill(pipeline, "live-feed")
    # Asked in every frame; the page's policy refuses an expression there.
    page.wait_for_function(f"() => {CONNECTION}.includes('reconnecting')")
    for minute in range(1, 4):
        post(pipeline, f"{symbol},{minute + 1},1,{start_ms + minute * MINUTE_MS}")
    found = shown(page, lambda it: len(it["candles"]) == 4, 60)
    assert [c["c"] for c in found["candles"]] == ["1", "2", "3", "4"]
    expect(connection(page)).to_contain_text("live")


def test_the_page_survives_a_restart_of_nats(page: Page, pipeline: dict[str, str]) -> None:
    """After a restart of NATS the page is still connected and draws each candle once."""
    symbol = fresh_symbol("NATSPAGE")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},1,1,{start_ms}")
    open_symbol(page, pipeline, symbol)
    kill(pipeline, "nats")
    for minute in range(1, 4):
        post_until_taken(
            pipeline, f"{symbol},{minute + 1},1,{start_ms + minute * MINUTE_MS},,{minute}"
        )
    wanted = [(str(n), 1) for n in range(1, 5)]
    shown(page, lambda it: [(c["c"], c["n"]) for c in it["candles"]] == wanted, 60)
    expect(connection(page)).to_contain_text("live")


def test_the_trades_before_the_page_was_opened_are_there(
    page: Page, pipeline: dict[str, str]
) -> None:
    """The tape has earlier trades from history and new ones once each, newest first."""
    symbol = fresh_symbol("TAPE")
    post(pipeline, *(f"{symbol},{n}.5,1,{1_700_000_040_000 + n},buy,{n}" for n in range(1, 4)))
    open_symbol(page, pipeline, symbol)
    expect(tape_prices(page)).to_have_text(["3.5", "2.5", "1.5"])
    post(pipeline, f"{symbol},4.5,1,1700000040004,sell,4")
    expect(tape_prices(page)).to_have_text(["4.5", "3.5", "2.5", "1.5"])


def test_a_pattern_and_its_retraction_are_marked(page: Page, pipeline: dict[str, str]) -> None:
    """A pattern is marked on its candle and in the list, and struck out when retracted."""
    symbol = fresh_symbol("MARKED")
    post(pipeline, *lines(symbol, ENGULFING[:1])[:1])
    open_symbol(page, pipeline, symbol)
    page.select_option("#marks", "all")
    send_udp(pipeline["UDP_ADDR"], lines(symbol, ENGULFING)[1:])
    shown(page, lambda it: any(m.startswith("engulfing ") for m in it["marked"]), 60)
    send_udp(
        pipeline["UDP_ADDR"],
        [f"{symbol},88.95,1,{DAY_MS + 20 * MINUTE_MS + 59_000},sell,999"],
    )
    shown(page, lambda it: "✕ engulfing" in it["marked"], 60)
    page.locator("#tab-patterns").click()
    entry = page.locator(".pattern.retracted").filter(has_text="engulfing")
    expect(entry.first).to_contain_text("retracted by a correction")
    entry.first.click()  # its candle comes into the middle
    pane = page.locator("#chart td:nth-child(2)").first.bounding_box()
    assert pane

    def tip() -> str:
        page.mouse.move(pane["x"] + pane["width"] / 2, pane["y"] + 60)
        return page.locator("#tip").text_content() or ""

    assert "✕ engulfing" in eventually(tip, lambda text: "✕ engulfing" in text)
    page.select_option("#marks", "off")
    shown(page, lambda it: it["marked"] == [])


def test_an_alert_is_shown_once_and_listed(page: Page, pipeline: dict[str, str]) -> None:
    """An alert is shown once as a notice, and stays in the list after a reload."""
    symbol = fresh_symbol("ALERTED")
    rule = f"{symbol} close > 100 on 1m"
    web.post(f"{pipeline['API_URL']}/api/alert-rules", json={"rule": rule}).raise_for_status()
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},99,1,{start_ms}")
    open_symbol(page, pipeline, symbol)
    for minute, price in enumerate((101, 102, 103), start=1):
        post(pipeline, f"{symbol},{price},1,{start_ms + minute * MINUTE_MS}")
    toast = page.locator(".toast").filter(has_text=rule)
    toast.click()
    expect(toast).to_have_count(0)
    page.reload()
    page.locator("#tab-alerts").click()
    expect(page.locator(".alert").filter(has_text=rule)).to_contain_text("at 101")
    expect(toast).to_have_count(0)


NATS_IN_A_PAGE = r"""async (subject) => {
  const { nats } = await (await fetch("/config.json")).json();
  const { host, username, password } = new URL(nats);
  const socket = new WebSocket(`ws://${host}`);
  socket.binaryType = "arraybuffer";
  const say = (text) => socket.send(new TextEncoder().encode(text + "\r\n"));
  let seen = "";
  window.heard = null;
  socket.onmessage = ({ data }) => {
    seen += String.fromCharCode(...new Uint8Array(data));
    const found = /MSG \S+ 1 (?:\S+ )?(\d+)\r\n/.exec(seen);
    const start = found ? found.index + found[0].length : 0;
    const payload = seen.slice(start, start + Number(found?.[1] ?? 0));
    if (found && payload.length === Number(found[1]))
      window.heard = [...payload].map((c) => c.charCodeAt(0));
  };
  await new Promise((open) => { socket.onopen = open; });
  say("CONNECT " + JSON.stringify({ user: username, pass: password, verbose: false, headers: false }));
  say(`SUB ${subject} 1`);
  say("PING");
  while (!seen.includes("PONG")) await new Promise((on) => setTimeout(on, 20));
}"""  # noqa: E501 - a page's code


def test_a_page_reads_nats_itself(page: Page, pipeline: dict[str, str]) -> None:
    """A page of the dashboard's origin reads NATS with the settings of /config.json."""
    symbol = fresh_symbol("PAGENATS")
    page.goto(pipeline["LIVE_URL"])
    page.evaluate(NATS_IN_A_PAGE, f"live.ticks.-.{symbol}")
    deadline = time.monotonic() + 30
    while not (heard := page.evaluate("window.heard")):  # trades arrive once the watcher is noticed
        assert time.monotonic() < deadline
        post(pipeline, f"{symbol},7.25,3")
        page.wait_for_timeout(250)
    update = TickerUpdate.FromString(bytes(heard))
    assert (update.symbol, update.price, update.volume) == (symbol, 7.25, 3)


def test_patterns_of_whatever_is_viewed_are_listed(page: Page, pipeline: dict[str, str]) -> None:
    """Patterns of the visible time are listed, read as the view moves back."""
    symbol, start_ms = fresh_symbol("OLDMARKS"), 1_700_000_040_000
    drawn, price = random.Random(7), 1_000
    for first in range(0, 480, 60):
        some = []
        for minute in range(first, first + 60):
            for second in range(0, 60, 10):
                price += drawn.randint(-6, 6)
                some.append(f"{symbol},{price},1,{start_ms + minute * MINUTE_MS + second * 1_000}")
        post(pipeline, *some)
    post(pipeline, f"{symbol},{price},1,{start_ms + 490 * MINUTE_MS}")
    url = f"{pipeline['API_URL']}/api/patterns/{symbol}"

    def known() -> list[dict[str, Any]]:
        query = {"limit": "10000", "timeframe": "1m", "status": "all"}
        found: list[dict[str, Any]] = web.get(url, params=query).json().get("patterns", [])
        return found

    wait_until_applied(pipeline, symbol, 480 * 6 + 1)
    closed_ms = start_ms + 478 * MINUTE_MS
    eventually(known, lambda found: any(e["timestamp"] > closed_ms for e in found), 60)
    everything = {each["id"] for each in known()}
    assert len(everything) > 250
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    found = shown(page, lambda it: len(it["candles"]) == 481 and len(it["patterns"]) >= 200)
    assert len(found["patterns"]) < len(everything)
    for _ in range(12):
        page.keyboard.press("-")
    found = shown(page, lambda it: everything <= {each["id"] for each in it["patterns"]})
    assert len(found["patterns"]) == len({each["id"] for each in found["patterns"]})
