"""The page on another machine: `kandle up --host`, with the token that it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from local.servers.ports import free_port
from tests.e2e.browser import connection, shown
from tests.local.broker.processes import eventually
from tests.platform import running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The printed address; another loopback address stands for the network's."""
    data_dir = tmp_path_factory.mktemp("elsewhere") / "data"
    more = ("--functions", "live-feed,history-query", "--host", "127.0.0.2")
    with running(data_dir, *more, "--dashboard-port", str(free_port())):
        output = data_dir.parent / "data.out"
        # The address and its QR code come after the line for which `running` waits.
        eventually(lambda: "\u2588" in output.read_text())
        printed = output.read_text()
        found = re.search(
            r"^other machines  (http://127\.0\.0\.2:\d+/#token=\w+)$", printed, re.MULTILINE
        )
        assert found is not None, printed
        yield found[1]


def test_without_the_token_nothing_is_told_and_no_event_is_taken(address: str) -> None:
    """Without the token every request and event is refused, under a cluster host name too."""
    url, _, token = address.partition("#token=")
    with httpx.Client(base_url=url, headers={"host": "live-feed.kandle.svc.cluster.local"}) as c:
        assert c.get("/").status_code == 200
        assert c.get("/api/symbols").status_code == 401
        assert c.get("/config.json").status_code == 401
        event = {
            "ce-id": "1",
            "ce-type": "kandle.candles.v1",
            "ce-source": "x",
            "ce-specversion": "1.0",
        }
        assert c.post("/", headers=event).status_code == 403
        known = {"authorization": f"Bearer {token}"}
        assert c.get("/api/symbols", headers=known).json() == []
        rule = {"rule": "BTC-USD close > 1"}
        assert c.post("/api/alert-rules", json=rule, headers=known).status_code == 404


def test_the_page_opens_with_the_token_and_keeps_it(page: Page, address: str) -> None:
    """The page takes the token out of the address, and a later visit needs none."""
    page.goto(address)
    expect(connection(page)).to_contain_text("live")
    assert "token" not in page.url
    page.goto(address.partition("#")[0])
    expect(connection(page)).to_contain_text("live")
    shown(page, lambda it: it["symbols"] == 0)
    page.evaluate("localStorage.clear()")
    page.goto("about:blank")
    page.goto(address.partition("#")[0] + "#BTC-USD/1m")
    expect(page.locator("#notice")).to_contain_text("requires a token")
