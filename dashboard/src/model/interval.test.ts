import { expect, test } from "vitest";

import { canonicalBarType, channelOf, endOf, intervalFor, intervalTitle, isBarType, isInterval, lengthOf } from "./interval";

test("timeframes, bar types and invalid texts are distinguished", () => {
  for (const each of ["1m", "3m", "90s", "1w", "1M", "1d@XNYS", "4h@1700@America/New_York"]) expect([isInterval(each), isBarType(each)]).toEqual([true, false]);
  for (const each of ["tick:100", "volume:0.5", "range:5@XNYS"]) expect([isInterval(each), isBarType(each)]).toEqual([true, true]);
  for (const each of ["", "m", "0m", "2M", "volume:", "volume:-1", "depth:5", "1d@<i>", "constructor"]) expect(isInterval(each)).toBe(false);
});

test("a bar type has the same canonical form as its channel", () => {
  expect(canonicalBarType("volume", "01000.50")).toBe("volume:1000.5");
  expect(canonicalBarType("tick", " 100 ")).toBe("tick:100");
  expect(canonicalBarType("dollar", "1000.00")).toBe("dollar:1000");
  for (const [measure, amount] of [["tick", "1.5"], ["range", "0"], ["volume", ""], ["volume", "1e3"], ["volume", "-4"]] as const)
    expect(canonicalBarType(measure, amount)).toBeUndefined();
  expect(channelOf("volume:1000", "A/B")).toBe("bars:volume:1000:A/B");
  expect(channelOf("3m", "A")).toBe("candles:3m:A");
  expect([intervalTitle("dollar:1000"), intervalTitle("tick:5@XNYS"), intervalTitle("4h")]).toEqual(["1000 value", "5 ticks @XNYS", "4h"]);
});

test("the end follows from the length or the calendar month, and is unknown for bars and sessions", () => {
  expect([lengthOf("90s"), lengthOf("1M"), lengthOf("1d@XNYS"), lengthOf("tick:5")]).toEqual([90_000, 0, 0, 0]);
  expect(endOf("5m", 0)).toBe(300_000);
  expect(endOf("1M", Date.UTC(2024, 1, 1))).toBe(Date.UTC(2024, 2, 1));
  expect(endOf("3M", Date.UTC(2024, 9, 1))).toBe(Date.UTC(2025, 0, 1));
  expect([endOf("tick:5", 0), endOf("1d@XNYS", 0)]).toEqual([undefined, undefined]);
});

test("a time range keeps the timeframe if it is readable, otherwise the shortest readable one is used", () => {
  const [hour, day, week] = [3_600_000, 86_400_000, 604_800_000];
  expect([hour, 6 * hour, day, week].map((span) => intervalFor(span, "1m"))).toEqual(["1m", "1m", "5m", "1h"]);
  expect([hour, 6 * hour, day, week].map((span) => intervalFor(span, "1h"))).toEqual(["1m", "1m", "1h", "1h"]);
  expect([intervalFor(hour, "1M"), intervalFor(hour, "30s"), intervalFor(week, "tick:3"), intervalFor(day, "1d@XNYS")]).toEqual(["1m", "30s", "tick:3", "1d@XNYS"]);
});
