import { expect, test } from "vitest";

import { read, written } from "./address";

test("a hash round-trips, even if the symbol contains a slash", () => {
  for (const symbol of ["BTC-USD", "XRP/ETH", "50%", "Ø #1"])
    expect(read(written({ symbol, timeframe: "5m" }), "1m")).toEqual({ symbol, timeframe: "5m", chosen: {} });
});

test("a slash of a symbol may be typed as it is", () => {
  for (const [hash, symbol, timeframe] of [["BTC/USD", "BTC/USD", "15m"], ["BTC/USD/5m", "BTC/USD", "5m"], ["/ES/1d@America/New_York", "/ES", "1d@America/New_York"], ["A/1m/1m", "A/1m", "1m"], ["A/", "A", "15m"], ["//", "", "15m"]])
    expect(read(`#${hash}`, "15m")).toEqual({ symbol, timeframe, chosen: {} });
});

test("a hash may name a bar type or a timeframe with a session", () => {
  for (const timeframe of ["volume:1000", "range:0.5", "1M", "4h@1700@America/New_York"])
    expect(read(written({ symbol: "BTC-USD", timeframe }), "1m")).toEqual({ symbol: "BTC-USD", timeframe, chosen: {} });
  expect(written({ symbol: "A", timeframe: "volume:1000" })).toBe("#A/volume:1000");
});

test("an invalid timeframe leaves the current one unchanged", () => {
  expect(read("#BTC-USD/7x", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m", chosen: {} });
  expect(read("#BTC-USD", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m", chosen: {} });
});

test("an empty hash has no symbol, and an invalid encoding is used unchanged", () => {
  expect(read("", "1m").symbol).toBe("");
  expect(read("#100%/1m", "5m")).toEqual({ symbol: "100%", timeframe: "1m", chosen: {} });
});

test("settings and the visible range are in the hash; a range up to now is not", () => {
  const chosen = { indicators: "sma:20,macd:12:26:9", scale: "log", style: "line" };
  const panels = [{ symbol: "X,Y/Z;", timeframe: "1d@America/New_York", indicators: ["rsi:14", "sma:5"] }, { symbol: "B", timeframe: "5m", indicators: [] }];
  const place = { symbol: "A?B", timeframe: "1h", view: { from: 5, to: 9 }, chosen: { ...chosen, layout: "4" }, panels };
  expect(read(written(place), "1m")).toEqual(place);
  expect(written({ symbol: "A", timeframe: "1m", view: { from: 5, to: Infinity }, chosen: { indicators: "" } })).toBe("#A/1m?indicators=");
  expect(read("#A/1m?from=9&to=5&scale=log", "1m")).toEqual({ symbol: "A", timeframe: "1m", chosen: { scale: "log" } });
});
