"""The page's sheet of feeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_feeds import names
from tests.exchanges.binance import BinanceDialect
from tests.exchanges.bridge import bridging, of_playback
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import trades

PATIENCE_MS = 60_000


@pytest.fixture
def binance() -> Iterator[Playback]:
    started = Playback(BinanceDialect())
    yield started
    started.close()


def test_a_feed_shows_its_state_while_it_changes(
    page: Page, pipeline: dict[str, str], binance: Playback, tmp_path: Path
) -> None:
    """The sheet shows a feed's instrument, rate and gaps, and its disconnection at once."""
    symbol, instrument = names(binance)
    settings = {**of_playback(binance, symbol), "QUIET_MS": "600000"}
    with bridging(pipeline["K_SINK"], tmp_path / "log", settings):
        page.goto(pipeline["LIVE_URL"])
        page.get_by_role("button", name="Feeds", exact=True).click()
        sheet = page.get_by_role("dialog", name="Feeds")
        row = sheet.get_by_role("row").filter(has_text=instrument)
        expect(row).to_have_count(1, timeout=PATIENCE_MS)
        binance.play(trades(binance, 1, 5, symbol))
        binance.lose(trades(binance, 6, 5, symbol))
        binance.play(trades(binance, 11, 5, symbol))
        cells = row.get_by_role("cell")
        expect(cells.nth(1)).to_have_text("live", timeout=PATIENCE_MS)
        expect(cells.nth(4)).to_have_text("0", timeout=PATIENCE_MS)
        expect(cells.nth(5)).to_have_text("1", timeout=PATIENCE_MS)
        binance.shut()
        expect(cells.nth(1)).to_have_text("reconnecting", timeout=PATIENCE_MS)
        binance.open()
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
