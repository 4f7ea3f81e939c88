// @vitest-environment happy-dom
import { afterEach, expect, test, vi } from "vitest";

import { Alerts } from "./alerts";
import type { Alert } from "../model/messages";

afterEach(() => vi.unstubAllGlobals());

function alertAt(timestamp: number): Alert {
  return { rule_id: "r", rule: "A close > 1 on 1m", symbol: "A", timeframe: "1m", timestamp, candle_start: timestamp, trigger_price: "2" } as Alert;
}

test("beyond 500 alerts the list begins again with the newest page of the history and its cursor, once it came", async () => {
  document.body.innerHTML = '<button id="alerts-older"></button><div id="alerts-of"><span></span><button></button></div><div id="list"></div><i id="count"></i><div id="toasts"></div>';
  const [list, count, toasts] = ["list", "count", "toasts"].map((each) => document.getElementById(each)!);
  const requests: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    requests.push(url);
    if (requests.length === 2) throw new TypeError("no connection");
    return Response.json({ alerts: Array.from({ length: requests.length > 1 ? 2 : 500 }, (_, n) => alertAt(n)), next: "further" });
  });
  const alerts = new Alerts(list!, count!, toasts!, () => undefined);
  await alerts.load();
  alerts.add(alertAt(500), false);
  await vi.waitFor(() => expect(requests.length).toBe(2));
  await new Promise((done) => setTimeout(done));
  expect(count!.textContent).toBe("501"); // the newest page did not come
  for (let n = 501; n <= 510; n += 1) alerts.add(alertAt(n), false);
  await vi.waitFor(() => expect(count!.textContent).toBe("3"));
  expect(requests).toEqual(Array(3).fill("/api/alerts?limit=100"));
  expect(document.getElementById("alerts-older")!.hidden).toBe(false);
});
