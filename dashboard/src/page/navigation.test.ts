// @vitest-environment happy-dom
import { expect, test, vi } from "vitest";

import { Navigation } from "./navigation";
import type { Parts } from "./parts";

/** Creates a navigation over settings and a series whose selections end when the test says so. */
async function started() {
  const ends: Record<string, () => void> = {};
  const series = { symbol: "", timeframe: "1m", store: {}, showRange: vi.fn() };
  const settings = { now: { scale: "linear", style: "candles", layout: 1, panels: [] }, replace: (text: string) => (settings.now = JSON.parse(text)) };
  const select = (symbol: string, timeframe: string) => new Promise<void>((done) => {
    Object.assign(series, { symbol, timeframe });
    ends[symbol] = done;
  });
  const chart = { isShowing: () => true, indicators: [], view: { timeRange: undefined } };
  const navigation = new Navigation(() => ({ series, settings, select, chart, panels: { layout: () => undefined }, isLive: () => true }) as unknown as Parts);
  await navigation.start();
  return { navigation, series, settings, ends };
}

function change(hash: string, state: unknown): void {
  window.dispatchEvent(Object.assign(new Event("popstate"), { state }));
  window.dispatchEvent(Object.assign(new Event("hashchange"), { newURL: `http://page/${hash}` }));
}

const settled = () => new Promise((done) => setTimeout(done));

test("an address whose selection ends after another's leaves settings and range alone", async () => {
  const { series, settings, ends } = await started();
  change("#A/1m?scale=log&from=1&to=2", null);
  change("#B/1m", null);
  ends["B"]!();
  ends["A"]!();
  await settled();
  expect([settings.now.scale, series.showRange.mock.calls]).toEqual(["linear", []]);
});

test("an edited address applies its settings; Back to it shows its symbol and range with the later ones", async () => {
  const { navigation, series, settings, ends } = await started();
  change("#A/1m?scale=log&from=1&to=2", null);
  ends["A"]!();
  await settled();
  expect(settings.now.scale).toBe("log");
  navigation.saveView();
  const { state } = window.history;
  settings.now.scale = "linear";
  change("#A/1m?scale=log&from=1&to=2", state);
  ends["A"]!();
  await settled();
  expect([settings.now.scale, series.symbol]).toEqual(["linear", "A"]);
  expect(series.showRange.mock.calls).toEqual([[1, 2], [1, 2]]);
});
