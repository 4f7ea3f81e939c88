import { expect, test } from "vitest";

import { formatHash, parseHash } from "./address";

test("a hash round-trips, even if the symbol contains a slash", () => {
  for (const symbol of ["BTC-USD", "XRP/ETH", "50%", "Ø #1"])
    expect(parseHash(formatHash({ symbol, timeframe: "5m" }), "1m")).toEqual({ symbol, timeframe: "5m", settings: {} });
});

test("a symbol's slash may be typed without encoding", () => {
  for (const [hash, symbol, timeframe] of [["BTC/USD", "BTC/USD", "15m"], ["BTC/USD/5m", "BTC/USD", "5m"], ["/ES/1d@America/New_York", "/ES", "1d@America/New_York"], ["A/1m/1m", "A/1m", "1m"], ["A/", "A", "15m"], ["//", "", "15m"]])
    expect(parseHash(`#${hash}`, "15m")).toEqual({ symbol, timeframe, settings: {} });
});

test("a hash may name a bar type or a timeframe with a session", () => {
  for (const timeframe of ["volume:1000", "range:0.5", "1M", "4h@1700@America/New_York"])
    expect(parseHash(formatHash({ symbol: "BTC-USD", timeframe }), "1m")).toEqual({ symbol: "BTC-USD", timeframe, settings: {} });
  expect(formatHash({ symbol: "A", timeframe: "volume:1000" })).toBe("#A/volume:1000");
});

test("an invalid timeframe leaves the current one unchanged", () => {
  expect(parseHash("#BTC-USD/7x", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m", settings: {} });
  expect(parseHash("#BTC-USD", "15m")).toEqual({ symbol: "BTC-USD", timeframe: "15m", settings: {} });
});

test("an empty hash has no symbol, and an invalid encoding is used unchanged", () => {
  expect(parseHash("", "1m").symbol).toBe("");
  expect(parseHash("#100%/1m", "5m")).toEqual({ symbol: "100%", timeframe: "1m", settings: {} });
});

test("settings and the visible range are in the hash; a range up to now is not", () => {
  const settings = { indicators: "sma:20,macd:12:26:9", scale: "log", style: "line" };
  const panels = [{ symbol: "X,Y/Z;", timeframe: "1d@America/New_York", indicators: ["rsi:14", "sma:5"] }, { symbol: "B", timeframe: "5m", indicators: [] }];
  const place = { symbol: "A?B", timeframe: "1h", view: { from: 5, to: 9 }, settings: { ...settings, layout: "4" }, panels };
  expect(parseHash(formatHash(place), "1m")).toEqual(place);
  expect(formatHash({ symbol: "A", timeframe: "1m", view: { from: 5, to: Infinity }, settings: { indicators: "" } })).toBe("#A/1m?indicators=");
  expect(parseHash("#A/1m?from=9&to=5&scale=log", "1m")).toEqual({ symbol: "A", timeframe: "1m", settings: { scale: "log" } });
});
