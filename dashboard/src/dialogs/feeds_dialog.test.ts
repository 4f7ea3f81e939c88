import { expect, test } from "vitest";

import { COLUMNS, summarizeStates, feedErrors, feedRows } from "./feeds_dialog";
import type { Feed } from "../server/quotes";

const feed: Feed = {
  feed: "kraken",
  reconnects: 2,
  skew_ms: -35,
  error: "rate limited",
  symbols: [
    {
      instrument: "BTC-USD.KRAKEN",
      state: "live",
      last_message: 100_000,
      trades_per_minute: 61,
      history: { done: 1, parts: 3 },
      gaps: { open: 1, filled: 4, missing: 250 },
    },
    {
      instrument: "LUNA-USD.KRAKEN",
      state: "ended",
      last_message: null,
      trades_per_minute: 0,
      history: { done: 0, parts: 0 },
      gaps: { open: 0, filled: 0, missing: 0 },
    },
  ],
};

test("each symbol has a row, with the values of its feed", () => {
  const [live, ended] = feedRows([feed], 140_000);
  expect(live).toEqual(["BTC-USD.KRAKEN", "live", "40 s ago", "61", "1 (250)", "4", "33 %", "-35 ms", "2"]);
  expect(live).toHaveLength(COLUMNS.length);
  expect(ended).toEqual(["LUNA-USD.KRAKEN", "ended", "–", "0", "0", "0", "–", "-35 ms", "2"]);
});

test("states are counted, the most frequent first", () => {
  expect(summarizeStates(["stalled", "live", "live"])).toBe("2 feeds live, 1 stalled");
  expect(summarizeStates([])).toBe("");
});

test("an unknown value is a dash, and a feed without an error is not listed", () => {
  expect(feedRows([{ ...feed, skew_ms: null }], 0)[0]![7]).toBe("–");
  expect(feedErrors([feed, { ...feed, feed: "binance", error: null }])).toBe("kraken: rate limited");
});
