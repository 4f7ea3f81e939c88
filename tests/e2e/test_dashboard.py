"""The dashboard in a real browser, against a running Kandle."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from shared.schema.ticker_pb2 import TickerUpdate
from tests.e2e.client import candles, eventually, fresh_symbol, kill, send_udp
from tests.e2e.test_display import hung
from tests.e2e.test_live import post, post_until_taken
from tests.e2e.test_patterns import DAY_MS, ENGULFING, MINUTE_MS, lines
from tests.platform import kandle

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOWN = ("t", "o", "h", "l", "c", "v", "n", "revision", "closed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: install the system's package")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, pipeline: dict[str, str]) -> Iterator[Page]:
    """A page on the dashboard; what it writes to its console as an error fails the test."""
    if "dashboard was not built" in httpx.get(pipeline["LIVE_URL"]).text:
        pytest.skip("the dashboard was not built: make dashboard")
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems


def state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("window.kandle.state()")
    return found


def shown(
    page: Page, holds: Callable[[dict[str, Any]], bool], seconds: float = 30
) -> dict[str, Any]:
    """What the page shows, once it holds."""
    deadline = time.monotonic() + seconds
    while not holds(found := state(page)):
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)
    return found


def test_the_seam_between_history_and_live_is_exact(page: Page, pipeline: dict[str, str]) -> None:
    """History, then ticks while the page is open: the chart's candles are the API's, each once."""
    symbol = fresh_symbol("SEAM")
    start_ms = 1_700_000_040_000
    for minute in range(30):
        post(pipeline, f"{symbol},{100 + minute}.5,1,{start_ms + minute * 60_000},buy,{minute}")
    eventually(lambda: len(candles(pipeline["API_URL"], symbol)), lambda n: n == 30)
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    for n in range(40):
        time_ms = start_ms + 29 * 60_000 + n * 15_000
        post(pipeline, f"{symbol},{200 + n}.25,2,{time_ms},sell,{1000 + n}")
    found = shown(page, lambda it: bool(it["candles"]) and it["candles"][-1]["c"] == "239.25")
    known = candles(pipeline["API_URL"], symbol)
    assert [[c[k] for k in SHOWN] for c in found["candles"]] == [
        [c[k] for k in SHOWN] for c in known
    ]
    assert [bar["time"] * 1000 for bar in found["drawn"]] == [c["t"] for c in known]
    assert [bar["close"] for bar in found["drawn"]] == [float(c["c"]) for c in known]


def test_a_late_tick_corrects_a_drawn_candle(page: Page, pipeline: dict[str, str]) -> None:
    """The closed candle changes where it stands, and is marked as corrected."""
    symbol = fresh_symbol("CORRECT")
    start_ms = 1_700_000_040_000
    for minute in range(5):
        post(pipeline, f"{symbol},{10 + minute},1,{start_ms + minute * 60_000}")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 5 and it["candles"][1]["closed"])
    post(pipeline, f"{symbol},99,1,{start_ms + 60_000 + 30_000}")
    found = shown(page, lambda it: it["candles"][1]["h"] == "99")
    assert found["corrected"] == [start_ms + 60_000]
    assert found["drawn"][1]["high"] == 99
    assert len(found["drawn"]) == 5


def test_the_page_survives_a_restart_of_live_feed(page: Page, pipeline: dict[str, str]) -> None:
    """It says that it reconnects, does so by itself, and has missed nothing."""
    symbol = fresh_symbol("RESTART")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},1,1,{start_ms}")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    pill = page.locator("#connection")
    pill.filter(has_text="live").wait_for()
    kill(pipeline, "live-feed")
    pill.filter(has_text="reconnecting").wait_for()
    for minute in range(1, 4):
        post(pipeline, f"{symbol},{minute + 1},1,{start_ms + minute * 60_000}")
    found = shown(page, lambda it: len(it["candles"]) == 4, 60)
    assert [c["c"] for c in found["candles"]] == ["1", "2", "3", "4"]
    pill.filter(has_text="live").wait_for()


def test_the_page_survives_a_restart_of_nats(page: Page, pipeline: dict[str, str]) -> None:
    """Its connection stays; what came during the outage is drawn, each candle once."""
    symbol = fresh_symbol("NATSPAGE")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},1,1,{start_ms}")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    kill(pipeline, "nats")
    for minute in range(1, 4):
        post_until_taken(
            pipeline, f"{symbol},{minute + 1},1,{start_ms + minute * 60_000},,{minute}"
        )
    found = shown(page, lambda it: len(it["candles"]) == 4, 60)
    assert [(c["c"], c["n"]) for c in found["candles"]] == [(str(n), 1) for n in range(1, 5)]
    assert page.locator("#connection").filter(has_text="live").count() == 1


def test_the_trades_before_the_page_was_opened_are_there(
    page: Page, pipeline: dict[str, str]
) -> None:
    """From history, and those that come, each once, the newest first."""
    symbol = fresh_symbol("TAPE")
    post(pipeline, *(f"{symbol},{n}.5,1,{1_700_000_040_000 + n},buy,{n}" for n in range(1, 4)))
    eventually(lambda: candles(pipeline["API_URL"], symbol), bool)
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    prices = page.locator("#tape tbody td:nth-child(2)")
    prices.nth(2).wait_for()
    post(pipeline, f"{symbol},4.5,1,1700000040004,sell,4")
    prices.nth(3).wait_for()
    assert prices.all_text_contents() == ["4.5", "3.5", "2.5", "1.5"]


def test_a_pattern_and_its_retraction_are_marked(page: Page, pipeline: dict[str, str]) -> None:
    """On its candle and in the list; a correction strikes it out."""
    symbol = fresh_symbol("MARKED")
    post(pipeline, *lines(symbol, ENGULFING[:1])[:1])
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    page.get_by_role("radio", name="all", exact=True).click()
    send_udp(pipeline["UDP_ADDR"], lines(symbol, ENGULFING)[1:])
    shown(page, lambda it: any(m.startswith("engulfing ") for m in it["marked"]), 60)
    send_udp(
        pipeline["UDP_ADDR"],
        [f"{symbol},88.95,1,{DAY_MS + 20 * MINUTE_MS + 59_000},sell,999"],
    )
    shown(page, lambda it: "✕ engulfing" in it["marked"], 60)
    page.locator("#tab-patterns").click()
    entry = page.locator(".pattern.retracted").filter(has_text="engulfing")
    assert "retracted by a correction" in (entry.first.text_content() or "")
    page.get_by_role("radio", name="off", exact=True).click()
    assert state(page)["marked"] == []


def test_an_alert_is_told_and_kept(page: Page, pipeline: dict[str, str]) -> None:
    """A word on the screen as the rule comes true, once; in the list also after a reload."""
    symbol = fresh_symbol("TOLD")
    url = ("--database-url", pipeline["DATABASE_URL"])
    kandle("alert", "add", f"{symbol} close > 100", *url)
    rule = f"{symbol} close > 100 on 1m"
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},99,1,{start_ms}")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    for minute, price in enumerate((101, 102, 103), start=1):
        post(pipeline, f"{symbol},{price},1,{start_ms + minute * 60_000}")
    page.locator(".toast").filter(has_text=rule).click(timeout=30_000)
    assert page.locator(".toast").filter(has_text=rule).count() == 0
    page.reload()
    page.locator("#tab-alerts").click()
    kept = page.locator(".alert").filter(has_text=rule)
    kept.wait_for()
    assert "at 101" in (kept.text_content() or "")
    assert page.locator(".toast").count() == 0


NATS_IN_A_PAGE = r"""async (subject) => {
  const { nats } = await (await fetch("/config.json")).json();
  const { host, username, password } = new URL(nats);
  const socket = new WebSocket(`ws://${host}`);
  socket.binaryType = "arraybuffer";
  const say = (text) => socket.send(new TextEncoder().encode(text + "\r\n"));
  let seen = "";
  window.heard = new Promise((done) => {
    socket.onmessage = ({ data }) => {
      seen += String.fromCharCode(...new Uint8Array(data));
      const found = /MSG \S+ 1 (?:\S+ )?(\d+)\r\n/.exec(seen);
      const start = found ? found.index + found[0].length : 0;
      const payload = seen.slice(start, start + Number(found?.[1] ?? 0));
      if (found && payload.length === Number(found[1])) done([...payload].map((c) => c.charCodeAt(0)));
    };
  });
  await new Promise((open) => { socket.onopen = open; });
  say("CONNECT " + JSON.stringify({ user: username, pass: password, verbose: false, headers: false }));
  say(`SUB ${subject} 1`);
  say("PING");
  while (!seen.includes("PONG")) await new Promise((on) => setTimeout(on, 20));
}"""  # noqa: E501 - a page's code


def test_a_page_reads_nats_itself(page: Page, pipeline: dict[str, str]) -> None:
    """From the dashboard's origin, with what /config.json says: a TickerUpdate arrives."""
    symbol = fresh_symbol("PAGENATS")
    page.goto(pipeline["LIVE_URL"])
    page.evaluate(NATS_IN_A_PAGE, f"live.ticks.-.{symbol}")
    for _ in range(8):  # once it is noticed that somebody watches, they come
        post(pipeline, f"{symbol},7.25,3")
        page.wait_for_timeout(500)
    heard = bytes(page.evaluate("window.heard"))
    update = TickerUpdate.FromString(heard)
    assert (update.symbol, update.price, update.volume) == (symbol, 7.25, 3)


def test_symbols_timeframes_and_search_by_keyboard(page: Page, pipeline: dict[str, str]) -> None:
    """Arrows walk the cards, digits change the timeframe, / searches."""
    prefix = fresh_symbol("KEYS")
    names = [f"{prefix}-{letter}" for letter in "AB"]
    for name in names:
        post(pipeline, f"{name},5,1,1700000040000", f"{name},6,1,1700000400000")
    eventually(lambda: candles(pipeline["API_URL"], names[1], "5m"), lambda found: len(found) == 2)
    page.goto(f"{pipeline['LIVE_URL']}/#{names[0]}/1m")
    shown(page, lambda it: it["symbol"] == names[0] and len(it["candles"]) == 2)
    page.keyboard.press("/")
    page.keyboard.type(prefix.lower())
    assert page.locator(".card:visible").count() == 2
    page.locator("#search").blur()
    page.keyboard.press("ArrowDown")
    shown(page, lambda it: it["symbol"] == names[1] and len(it["candles"]) == 2)
    page.keyboard.press("2")
    found = shown(page, lambda it: it["timeframe"] == "5m" and len(it["candles"]) == 2)
    assert [c["c"] for c in found["candles"]] == ["5", "6"]
    chosen = page.get_by_role("radio", name="5m", exact=True)
    assert chosen.get_attribute("aria-checked") == "true"
    chosen.focus()
    page.keyboard.press("ArrowRight")
    shown(page, lambda it: it["timeframe"] == "15m" and len(it["candles"]) == 2)


@pytest.mark.parametrize(("width", "height"), [(1400, 850), (1000, 700), (390, 844)])
def test_nothing_stands_outside_the_window(
    page: Page, pipeline: dict[str, str], width: int, height: int
) -> None:
    """On a desktop, a tablet and a phone: no sideways scrolling, chart and cards in view."""
    symbol = fresh_symbol("SIZE")
    post(pipeline, f"{symbol},5,1,1700000040000")
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") <= height
    box = page.locator("#chart").bounding_box()
    assert box is not None
    assert box["height"] > 200
    assert box["y"] + box["height"] <= height


def test_a_late_trade_moves_no_last_price(page: Page, pipeline: dict[str, str]) -> None:
    """It stands at its own place in the tape, marked; header, card and chart keep the market's."""
    symbol = fresh_symbol("LATETAPE")
    start_ms = 1_700_000_040_000
    post(pipeline, f"{symbol},150.5,1,{start_ms},buy,1")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 1)
    page.locator("#connection").filter(has_text="live").wait_for()
    post(pipeline, f"{symbol},150.65,1,{start_ms + 30_000},buy,2")
    shown(page, lambda it: it["last"] == "150.65")
    post(pipeline, f"{symbol},158.88,1,{start_ms + 10_000},sell,3")
    late = page.locator("#tape tr.late")
    late.wait_for()
    assert "late" in (late.text_content() or "")
    prices = page.locator("#tape tbody td:nth-child(2)").all_text_contents()
    assert prices == ["150.65", "158.88", "150.50"]
    found = shown(page, lambda it: it["candles"][0]["h"] == "158.88")
    assert (found["last"], found["candles"][0]["c"]) == ("150.65", "150.65")
    assert page.locator("#price").text_content() == "150.65"
    card = page.locator(f'.card[data-symbol="{symbol}"] .last')
    assert card.text_content() == "150.65"


def test_trades_that_history_had_first_stand_once_in_their_places(
    page: Page, pipeline: dict[str, str]
) -> None:
    """The live feed lags behind storage: the tape is in the order of time, each trade once."""
    symbol, start_ms = fresh_symbol("LAGTAPE"), 1_700_000_040_000
    post(pipeline, f"{symbol},1.5,1,{start_ms},buy,1")
    eventually(lambda: candles(pipeline["API_URL"], symbol), bool)
    url = f"{pipeline['API_URL']}/api/ticks/{symbol}"
    prices = page.locator("#tape tbody td:nth-child(2)")
    with hung(pipeline, "candle-aggregate"):
        post(pipeline, *(f"{symbol},{n}.5,1,{start_ms + n * 1_000},buy,{n}" for n in (2, 3)))
        eventually(lambda: httpx.get(url).json()["ticks"], lambda found: len(found) == 3)
        page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
        prices.nth(2).wait_for()
    post(pipeline, f"{symbol},4.5,1,{start_ms + 4_000},buy,4")
    prices.nth(3).wait_for()
    found = shown(page, lambda it: it["last"] == "4.5" and it["candles"][0]["n"] == 4)
    assert found["candles"][0]["c"] == "4.5"
    page.wait_for_timeout(300)
    assert prices.all_text_contents() == ["4.5", "3.5", "2.5", "1.5"]


def test_without_an_address_the_first_symbol_is_shown(page: Page, pipeline: dict[str, str]) -> None:
    """Its chart, as soon as there is any; no card is empty."""
    post(pipeline, f"{fresh_symbol('ANY')},5,1,1700000040000")
    page.goto(pipeline["LIVE_URL"])
    found = shown(page, lambda it: bool(it["symbol"]) and len(it["candles"]) > 0)
    assert found["visible"][0] == found["symbol"]
    assert "" not in found["visible"]


def test_a_lag_is_said_in_words(page: Page, pipeline: dict[str, str]) -> None:
    """Trades that were received long before they are shown: amber or red, and how far behind."""
    symbol = fresh_symbol("BEHIND")
    post(pipeline, f"{symbol},1,1,,,1")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) >= 1)
    pill = page.locator("#connection")
    pill.filter(has_text="live").wait_for()
    with hung(pipeline, "candle-aggregate"):
        post(pipeline, f"{symbol},2,1,,,2")
        page.wait_for_timeout(3_000)
    pill.filter(has_text="behind").wait_for()
    assert "trades" in (pill.text_content() or "")
    assert pill.get_attribute("data-age") in ("amber", "red")
    post(pipeline, f"{symbol},3,1,,,3")
    pill.filter(has_text="live").wait_for()
    shown(page, lambda it: it["ages"].get("candles") is not None)


def test_a_quiet_market_looks_quiet(page: Page, pipeline: dict[str, str]) -> None:
    """Two minutes after the last trade: the feed is live and says so, the price is dimmed."""
    symbol = fresh_symbol("QUIET")
    page.clock.install()
    post(pipeline, f"{symbol},7.5,1,,,1")
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: it["last"] == "7.5")
    assert page.locator("#price.stale").count() == 0
    page.clock.fast_forward(120_000)
    page.locator("#price.stale").wait_for(timeout=90_000)
    assert "ago" in (page.locator("#last").text_content() or "")
    pill = page.locator("#connection").filter(has_text="live · quiet")
    pill.wait_for()
    assert pill.get_attribute("data-age") == "good"
    post(pipeline, f"{symbol},7.75,1,,,2")
    shown(page, lambda it: it["last"] == "7.75")


def test_a_gap_in_time_looks_like_one(page: Page, pipeline: dict[str, str]) -> None:
    """Five minutes without a trade are five empty places."""
    symbol = fresh_symbol("HOLE")
    start_ms = 1_700_000_040_000
    post(pipeline, *(f"{symbol},5,1,{start_ms + n * 60_000}" for n in (0, 1, 7)))
    eventually(lambda: len(candles(pipeline["API_URL"], symbol)), lambda n: n == 3)
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    assert shown(page, lambda it: len(it["candles"]) == 3)["gaps"] == 5
    post(pipeline, f"{symbol},6,1,{start_ms + 10 * 60_000}")
    assert shown(page, lambda it: len(it["candles"]) == 4)["gaps"] == 7


def test_many_symbols_cost_no_request_each(page: Page, pipeline: dict[str, str]) -> None:
    """1,000 symbols: the chart that was asked for, one overview, trades of the cards in view."""
    prefix = fresh_symbol("MANY")
    now_ms = int(time.time() * 1000)
    names = [f"{prefix}-{n:04}" for n in range(1_000)]
    post(pipeline, *(f"{name},{n + 1},1,{now_ms}" for n, name in enumerate(names)))
    eventually(lambda: candles(pipeline["API_URL"], names[-1]), bool)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{pipeline['LIVE_URL']}/#{names[500]}/1m")
    found = shown(page, lambda it: it["symbols"] >= 1_000 and names[500] in it["visible"])
    assert len(found["candles"]) == 1
    assert len(found["visible"]) < 60
    assert len(asked) < 40
    of_candles = [url for url in asked if "/api/candles/" in url]
    assert len(of_candles) <= 2
    assert page.locator(".card").count() < 60


def test_the_address_is_read_again_and_an_unknown_symbol_says_so(
    page: Page, pipeline: dict[str, str]
) -> None:
    """Another hash is another chart; what nobody traded is no other symbol's chart."""
    one, other = fresh_symbol("HASHA"), fresh_symbol("HASHB")
    for name in (one, other):
        post(pipeline, f"{name},5,1,1700000040000")
    page.goto(f"{pipeline['LIVE_URL']}/#{one}/1m")
    shown(page, lambda it: it["symbol"] == one and len(it["candles"]) == 1)
    page.evaluate(f"location.hash = '#{other}/5m'")
    shown(page, lambda it: it["symbol"] == other and it["timeframe"] == "5m")
    nobody = fresh_symbol("NOBODY")
    page.evaluate(f"location.hash = '#{nobody}/1m'")
    page.locator("#notice").filter(has_text=f"No symbol {nobody}").wait_for()
    assert state(page)["candles"] == []
    post(pipeline, f"{nobody},7,1,1700000040000")
    shown(page, lambda it: it["last"] == "7" and len(it["candles"]) == 1)
    page.locator("#notice").wait_for(state="hidden")


def test_a_stored_hour_is_played_on_the_page(page: Page, pipeline: dict[str, str]) -> None:
    """What was before it, then candles and trades as they came; paused, and back to what is now."""
    symbol, start_ms = fresh_symbol("REPLAYED"), 1_700_000_040_000
    sent = [f"{symbol},{100 + n}.5,1,{start_ms + n * 5_000},buy,{n}" for n in range(240)]
    post(pipeline, *sent)
    eventually(lambda: len(candles(pipeline["API_URL"], symbol)), lambda n: n == 20)
    page.goto(f"{pipeline['LIVE_URL']}/#{symbol}/1m")
    shown(page, lambda it: len(it["candles"]) == 20)
    page.locator("#replay").click()
    page.locator("#replay-from").fill(
        "2023-11-14T22:24:30"
    )  # 10 minutes and a half after the first
    page.locator("#replay-speed").select_option("60")
    page.locator("#replay-play").click()
    found = shown(page, lambda it: it["replay"]["state"] == "playing" and len(it["candles"]) >= 11)
    assert len(found["candles"]) < 20
    assert found["candles"][9]["closed"]
    page.locator("#connection").filter(has_text="replay · 60").wait_for()
    shown(page, lambda it: len(it["candles"]) >= 12)
    page.locator("#replay-play").filter(has_text="Pause").click()
    paused = shown(page, lambda it: it["replay"]["state"] == "paused")
    price = paused["last"]
    assert 100.5 < float(price) < 339.5
    assert page.locator("#price").text_content() == price
    assert page.locator("#tape tbody td:nth-child(2)").first.text_content() == price
    post(pipeline, f"{symbol},777,1,{start_ms + 1_300_000},buy,777")
    page.wait_for_timeout(500)
    assert state(page)["last"] == price  # what happens now is not shown in the past
    page.locator("#replay-speed").select_option("3600")
    page.locator("#replay-play").filter(has_text="Go on").click()
    played = shown(page, lambda it: it["last"] == "339.5" and it["candles"][-1]["closed"])
    known = candles(pipeline["API_URL"], symbol)
    same = ("t", "o", "h", "l", "c", "v", "n")
    assert [[c[k] for k in same] for c in played["candles"]] == [
        [c[k] for k in same] for c in known[:20]
    ]
    page.locator("#replay-live").click()
    found = shown(page, lambda it: it["replay"]["state"] == "off" and len(it["candles"]) >= 21)
    assert [c["revision"] for c in found["candles"]] == [c["revision"] for c in known]
    page.locator("#connection").filter(has_text="live").wait_for()


def test_patterns_of_whatever_is_viewed_are_listed(page: Page, pipeline: dict[str, str]) -> None:
    """More than the page begins with: as the view moves back, those of it are read, all of them."""
    symbol, start_ms = fresh_symbol("OLDMARKS"), 1_700_000_040_000
    drawn, price = random.Random(7), 1_000
    for first in range(0, 480, 60):
        some = []
        for minute in range(first, first + 60):
            for second in range(0, 60, 10):
                price += drawn.randint(-6, 6)
                some.append(f"{symbol},{price},1,{start_ms + minute * 60_000 + second * 1_000}")
        post(pipeline, *some)
    post(pipeline, f"{symbol},{price},1,{start_ms + 490 * 60_000}")
    url = f"{pipeline['API_URL']}/api/patterns/{symbol}"

    def known() -> list[dict[str, Any]]:
        query = {"limit": "10000", "timeframe": "1m", "status": "all"}
        found: list[dict[str, Any]] = httpx.get(url, params=query).json().get("patterns", [])
        return found

    closed_ms = start_ms + 478 * 60_000
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
