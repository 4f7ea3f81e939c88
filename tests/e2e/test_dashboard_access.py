"""Accessibility of the page: axe-core finds no serious fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser import open_symbol
from tests.e2e.client import fresh_symbol
from tests.e2e.test_live import post

AXE = Path(__file__).parents[2] / "dashboard/node_modules/axe-core/axe.min.js"
SERIOUS = """
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map(({ target }) => target)].join(" ")))
"""


def faults(page: Page) -> list[str]:
    found: list[str] = page.evaluate(SERIOUS)
    return found


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (npm)")
def test_axe_finds_no_serious_fault(page: Page, pipeline: dict[str, str]) -> None:
    """The page, each tab and each dialog have no serious fault, in both themes."""
    symbol = fresh_symbol("AXE")
    post(pipeline, *(f"{symbol},{100 + n},1,{1_699_999_980_000 + n * 60_000}" for n in range(9)))
    page.emulate_media(color_scheme="dark")
    open_symbol(page, pipeline, symbol, 9)
    page.evaluate(AXE.read_text())
    has_no_fault(page, "dark")
    page.locator("#theme").click()
    has_no_fault(page, "light")


def has_no_fault(page: Page, theme: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    assert faults(page) == []
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert faults(page) == []
    dialogs: dict[str, Callable[[], None]] = {
        "Feeds": lambda: page.get_by_role("button", name="Feeds", exact=True).click(),
        "Keys and settings": lambda: page.locator("#help").click(),
        "Rejects and dead letters": lambda: page.locator("#rejects-open").click(),
        "Indicators": lambda: page.get_by_role("button", name="Indicators", exact=True).click(),
    }
    for name, show in dialogs.items():
        show()
        expect(page.get_by_role("dialog", name=name)).to_be_visible()
        assert faults(page) == []
        page.keyboard.press("Escape")
