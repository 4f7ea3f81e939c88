import { expect, test } from "vitest";

import { read, written } from "./address";

test("a place is read as it was written, also where the symbol holds a slash", () => {
  for (const symbol of ["BTC-USD", "XRP/ETH", "50%", "Ø #1"])
    expect(read(written({ symbol, timeframe: "5m" }), "1m")).toEqual({ symbol, timeframe: "5m" });
});

test("a timeframe that is not made, or none, is the one that is shown", () => {
  expect(read("#BTC-USD/7m", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m" });
  expect(read("#BTC-USD", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m" });
});

test("an empty hash names nothing, and one with a bad encoding is taken as it is", () => {
  expect(read("", "1m").symbol).toBe("");
  expect(read("#100%/1m", "5m")).toEqual({ symbol: "100%", timeframe: "1m" });
});
