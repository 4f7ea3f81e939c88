"""A browser for the tests that need one: one for each file, a fresh page for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; tests are skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: install the system's package")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, pipeline: dict[str, str]) -> Iterator[Page]:
    """A page for the dashboard; what it writes to its console as an error fails the test."""
    if "dashboard was not built" in httpx.get(pipeline["LIVE_URL"]).text:
        pytest.skip("the dashboard was not built: make dashboard")
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert not problems
