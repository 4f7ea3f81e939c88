"""From a tick's send to its price on a screen: Kandle's page, and a bare one as the limit.

The bare page has the same socket and subscriptions, and sets one text a frame: what it takes is
the chain and the browser on this machine, what Kandle's page takes beyond it is the page's own.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks._measure import p50_p99

_PATIENCE_MS = 60_000

Send = Callable[[], Awaitable[Mapping[str, float]]]
"""Sends ticks of a symbol, waits until they were drawn, and returns when each price was sent."""


@dataclass(frozen=True)
class Shown:
    """Times of one price in milliseconds since 1970: sent, received by the page, drawn."""

    sent_ms: Mapping[str, float]
    came_ms: Mapping[str, float]
    drawn_ms: Mapping[str, float]

    def __str__(self) -> str:
        """Return the percentiles of each part of the way of the prices that were drawn."""
        whole = self.drawn_ms.keys() & self.came_ms.keys() & self.sent_ms.keys()
        parts = np.array(
            [(self.sent_ms[each], self.came_ms[each], self.drawn_ms[each]) for each in whole]
        ).reshape(-1, 3)
        sent, came, drawn = parts.T
        return (
            f"sent to drawn {_percentiles(drawn - sent)} of {len(parts):,} prices"
            f" (to the message {_percentiles(came - sent)}, then {_percentiles(drawn - came)})"
        )


def _percentiles(waits_ms: Any) -> str:
    return "p50 {:.0f} ms, p99 {:.0f} ms".format(*p50_p99(waits_ms))


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """Yield the browser; None where there is none, and say so."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        print("no chromium: what a browser draws is not measured")
        yield None
        return
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def kandle_and_bare(browser: Any, url: str, symbol: str, send: Send) -> tuple[Shown, Shown]:
    """Return what Kandle's page, then a bare one, showed of a symbol's ticks."""
    page = await _page(browser, symbol)
    await page.goto(f"{url}/#{symbol}/1m")
    await page.locator("#price").filter(has_text=".").wait_for(timeout=_PATIENCE_MS)
    kandle = await _shown(page, send)
    requests = await page.evaluate("window.requests")
    await page.close()
    page = await _page(browser, symbol)
    await page.goto(f"{url}/health/liveness")  # of the same origin
    await page.evaluate(_BARE, [f"{url.replace('http', 'ws', 1)}/ws", requests, symbol])
    bare = await _shown(page, send)
    await page.close()
    return kandle, bare


async def _page(browser: Any, symbol: str) -> Any:
    page = await browser.new_page(viewport={"width": 1400, "height": 850})
    await page.add_init_script(_NOTE_MESSAGES.replace("SYMBOL", symbol))
    return page


async def _shown(page: Any, send: Send) -> Shown:
    await page.evaluate(_NOTE_PRICES)
    sent = await send()
    came, drawn = await page.evaluate("[window.came, window.drawn]")
    return Shown(sent, came, {text.replace(",", ""): at_ms for text, at_ms in drawn})


_NOTE_MESSAGES = """
window.came = {};
window.requests = [];
window.WebSocket = class extends window.WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", ({ data }) => {
      const price = data.includes('"ticks:SYMBOL"') && /"price":"([^"]+)"/.exec(data);
      if (price) window.came[price[1]] ??= Date.now();
    });
  }
  send(data) {
    if (data.includes('"subscribe"')) window.requests.push(data);
    super.send(data);
  }
};
"""

_NOTE_PRICES = """() => {
  [window.came, window.drawn] = [{}, []];
  const price = document.getElementById("price");
  const after = new MessageChannel(); // its message comes when the frame under way is drawn
  const texts = [];
  after.port1.onmessage = () => window.drawn.push([texts.shift(), Date.now()]);
  const ask = window.requestAnimationFrame.bind(window);
  let inFrame = false;
  window.requestAnimationFrame = (draw) => ask((now) => {
    inFrame = true;
    draw(now);
    queueMicrotask(() => { inFrame = false; });
  });
  const note = () => after.port2.postMessage(0);
  new MutationObserver(() => { texts.push(price.textContent); inFrame ? note() : ask(note); })
    .observe(price, { childList: true, characterData: true, subtree: true });
}"""

_BARE = """([url, requests, symbol]) => new Promise((ready) => {
  document.body.innerHTML = '<output id="price"></output>';
  const socket = new WebSocket(url);
  let price, isAsked = false;
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type !== "update" || frame.channel !== `ticks:${symbol}`) return;
    price = frame.data.price;
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      document.getElementById("price").textContent = price;
    });
  };
  socket.onopen = () => {
    for (const each of requests) socket.send(each);
    ready();
  };
})"""
