"""A browser for the tests that need one: a profile for each file, a first visit for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    Error,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WINDOW: Final[ViewportSize] = {"width": 1400, "height": 850}
expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium; tests are skipped without.

    While it runs, an event loop runs in this thread. Files that need it are adjacent.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: install the system's package")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """The file's tab. A tab for each test would load and compile the page's code each time."""
    with browser.new_page(viewport=WINDOW) as page:
        yield page


@pytest.fixture
def page(tab: Page, pipeline: dict[str, str]) -> Iterator[Page]:
    """A first visit of the dashboard; what it writes to its console as an error fails the test."""
    if "dashboard was not built" in httpx.get(pipeline["LIVE_URL"]).text:
        pytest.skip("the dashboard was not built: make dashboard")
    problems: list[str] = []

    def note(error: Error) -> None:
        problems.append(str(error))

    tab.set_viewport_size(WINDOW)
    tab.emulate_media(color_scheme="light")
    tab.on("pageerror", note)
    yield tab
    tab.remove_listener("pageerror", note)
    tab.goto("about:blank")
    session = tab.context.new_cdp_session(tab)
    session.send(
        "Storage.clearDataForOrigin", {"origin": pipeline["LIVE_URL"], "storageTypes": "all"}
    )
    session.detach()
    assert not problems
