"""Alert rules on the page: suggested by a click on the chart, added, refused, changed, tested."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, Route, expect

from tests.e2e.browser import open_symbol
from tests.e2e.client import fresh_symbol, web
from tests.e2e.test_live import post
from tests.platform import kandle

MINUTE_MS = 60_000
FIRST_MS = 1_700_000_040_000


def test_a_rule_is_made_on_the_page_and_comes_true(page: Page, pipeline: dict[str, str]) -> None:
    """A rule is suggested for the clicked price, added, changed, tested, removed, and alerts.

    An invalid rule has a reason; the CLI lists the same rules.
    """
    symbol = fresh_symbol("RULED")
    database = ("--database-url", pipeline["DATABASE_URL"])
    post(pipeline, *(f"{symbol},{99 + n % 2},1,{FIRST_MS + n * MINUTE_MS}" for n in range(4)))
    open_symbol(page, pipeline, symbol, 4)
    page.locator("#chart").click(button="right", position={"x": 200, "y": 200})
    rule, note, rules = (
        page.get_by_label("Alert rule"),
        page.locator("#rule-note"),
        page.locator("#rules"),
    )
    expect(rule).to_have_value(re.compile(rf"^{symbol} close crosses [0-9]+ on 1m$"))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delta", exact=True).click()
    words = page.locator("#chart .values").filter(has_text="Delta").bounding_box()
    assert words
    page.mouse.click(words["x"] + 200, words["y"] + 20, button="right")
    expect(rule).to_have_value(re.compile(rf"^{symbol} delta crosses -?[0-9.]+ on 1m$"))
    rule.fill(f"{symbol} close >")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(note).to_contain_text("expected a field")
    rule.fill(f"{symbol} close > 150")
    rule.press("Enter")
    whole = f"{symbol} close > 150 on 1m"
    expect(rules).to_contain_text(whole)
    expect(rule).to_have_value("")
    listed = json.loads(kandle("alert", "list", "--json", *database).stdout)
    assert whole in {each["rule"] for each in listed}
    for minute, price in enumerate((151, 152, 153), start=4):
        post(pipeline, f"{symbol},{price},1,{FIRST_MS + minute * MINUTE_MS}")
    alerts = page.locator(".alert")
    expect(alerts.filter(has_text=whole)).to_contain_text("at 151", timeout=60_000)

    # a rule that already holds has a note
    rule.fill(f"{symbol} close > 1")
    rule.press("Enter")
    expect(note).to_have_text("already true: it alerts the next time it becomes true")
    other = f"{symbol} close > 1 on 1m"
    page.get_by_role("button", name=f"History {other}").click()
    expect(page.locator("#alerts-of")).to_contain_text(f"Alerts for {other}")
    expect(page.locator("#alert-list")).to_contain_text("No alert for this rule yet")
    page.get_by_role("button", name=f"History {whole}").click()
    expect(alerts).to_have_count(1)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("#alerts-of")).to_be_hidden()

    # notify tests it: the page gets the service's name only
    page.get_by_role("button", name=f"Test {whole}").click()
    expect(note).to_have_text("json #1: sent")

    # a refused edit leaves the rule; an accepted one keeps the CLI's options
    page.get_by_role("button", name=f"Edit {whole}").click()
    expect(page.locator("#rule-add")).to_have_text("Save")
    rule.fill(f"{symbol} close >")
    rule.press("Enter")
    expect(note).to_contain_text("expected a field")
    expect(rules).to_contain_text(whole)
    rule.fill(f"{symbol} close > 170")
    rule.press("Enter")
    changed = f"{symbol} close > 170 on 1m"
    expect(rules).to_contain_text(changed)
    expect(rules).not_to_contain_text(whole)
    page.get_by_role("button", name=f"Mute {changed}").click()
    expect(page.get_by_role("button", name=f"Unmute {changed}")).to_be_visible()
    stored = web.get(f"{pipeline['API_URL']}/api/alert-rules").json()
    assert [each["muted"] for each in stored if each["rule"] == changed] == [True]

    # a failed removal is reported, and the rule stays
    def refused(route: Route) -> None:
        if route.request.method == "DELETE":
            route.fulfill(status=503, body="{}")
        else:
            route.fallback()

    page.route("**/api/alert-rules?*", refused)
    page.get_by_role("button", name=f"Remove {changed}").click()
    expect(note).to_contain_text("the rule was not removed: 503")
    expect(rules).to_contain_text(changed)
    page.unroute("**/api/alert-rules?*")
    for each in (changed, other):
        page.get_by_role("button", name=f"Remove {each}").click()
    expect(rules).not_to_contain_text(symbol)
