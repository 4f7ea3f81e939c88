"""Rules of alerts on the page: offered by a click on the chart, added, refused, removed."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from tests.e2e.browser import open_symbol
from tests.e2e.client import fresh_symbol
from tests.e2e.test_live import post
from tests.platform import kandle

MINUTE_MS = 60_000
FIRST_MS = 1_700_000_040_000


def test_a_rule_is_made_on_the_page_and_comes_true(page: Page, pipeline: dict[str, str]) -> None:
    """Offered for the price it was clicked at; what is no rule says why; the CLI lists the same."""
    symbol = fresh_symbol("RULED")
    post(pipeline, *(f"{symbol},{99 + n % 2},1,{FIRST_MS + n * MINUTE_MS}" for n in range(4)))
    open_symbol(page, pipeline, symbol, 4)
    page.locator("#chart").click(button="right", position={"x": 200, "y": 200})
    rule = page.get_by_label("Rule of an alert")
    expect(rule).to_have_value(re.compile(rf"^{symbol} close crosses [0-9]+ on 1m$"))
    rule.fill(f"{symbol} close >")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#rule-note")).to_contain_text("expected a field")
    rule.fill(f"{symbol} close > 150")
    rule.press("Enter")
    whole = f"{symbol} close > 150 on 1m"
    expect(page.locator("#rules")).to_contain_text(whole)
    listed = json.loads(
        kandle("alert", "list", "--json", "--database-url", pipeline["DATABASE_URL"]).stdout
    )
    assert whole in {each["rule"] for each in listed}
    for minute, price in enumerate((151, 152, 153), start=4):
        post(pipeline, f"{symbol},{price},1,{FIRST_MS + minute * MINUTE_MS}")
    expect(page.locator(".alert").filter(has_text=whole)).to_contain_text("at 151", timeout=60_000)
    page.get_by_role("button", name=f"Edit {whole}").click()
    rule.fill(f"{symbol} close >")
    rule.press("Enter")
    expect(page.locator("#rule-note")).to_contain_text("expected a field")
    expect(page.locator("#rules")).to_contain_text(whole)  # in force until another one is
    rule.fill(f"{symbol} close > 170")
    rule.press("Enter")
    expect(page.locator("#rules")).to_contain_text("close > 170")
    expect(page.locator("#rules")).not_to_contain_text(whole)
    page.get_by_role("button", name=f"Remove {symbol} close > 170 on 1m").click()
    expect(page.locator("#rules")).not_to_contain_text(symbol)
