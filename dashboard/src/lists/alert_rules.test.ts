// @vitest-environment happy-dom
import { afterEach, expect, test, vi } from "vitest";

import { AlertRules, quoteSymbol } from "./alert_rules";

afterEach(() => vi.unstubAllGlobals());

/** Renders the rule form, answers requests from `answers`, and records them. */
function page(answers: Record<string, unknown>): { requests: [string, unknown][]; note: HTMLElement; click: (id: string) => void } {
  document.body.innerHTML =
    '<form id="rule-form"><input id="rule"><button id="rule-add"></button><button id="rule-test" type="button"></button><button id="notify" type="button"></button></form><p id="rule-note" hidden></p><ul id="rules"></ul>';
  const requests: [string, unknown][] = [];
  vi.stubGlobal("fetch", async (url: string, { body }: { body?: string } = {}) => {
    requests.push([url, body && JSON.parse(body)]);
    return Response.json(answers[url]);
  });
  new AlertRules(() => undefined, () => "A", () => undefined);
  return { requests, note: document.getElementById("rule-note")!, click: (id) => document.getElementById(id)!.click() };
}

test("a test shows the result for each service by name, with the reason of a failure", async () => {
  const { requests, note, click } = page({
    "/api/alert-rules/test": {
      targets: [
        { target: "tgram #1 (ops)", sent: true, reason: null },
        { target: "ntfy #2", sent: false, reason: "no answer within 15 s" },
      ],
    },
  });
  click("rule-test");
  await vi.waitFor(() => expect(note.textContent).toBe("tgram #1 (ops): sent\nntfy #2: not sent, no answer within 15 s"));
  expect(note.classList.contains("down")).toBe(true);
  expect(requests).toEqual([["/api/alert-rules/test", {}]]);
});

test("a test without services says that no service is notified", async () => {
  const { note, click } = page({ "/api/alert-rules/test": { targets: [] } });
  click("rule-test");
  await vi.waitFor(() => expect(note.textContent).toContain("ALERT_URLS is empty"));
});

test("a symbol that contains spaces is quoted, as the rule grammar requires", () => {
  expect([quoteSymbol("BTC-USD"), quoteSymbol("SPXW  241227P05")]).toEqual(["BTC-USD", '"SPXW  241227P05"']);
});
