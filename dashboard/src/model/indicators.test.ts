import { expect, test } from "vitest";

import type { Candle } from "./candles";
import { isName, indicatorLines, type Kind, type Values } from "./indicators";

const DAY_MS = 86_400_000;
const kind = (name: string, overlay: boolean): Kind => ({ name, title: name, group: "", columns: [name], overlay });
const KINDS = [kind("sma:20", true), kind("rsi:14", false), kind("macd:12:26:9", false), kind("ma:30", true), kind("supertrend:10:3", true)];

function candle(t: number, bv = "0", sv = "0"): Candle {
  return { t, o: "1", h: "1", l: "1", c: "1", v: "9", bv, sv, n: 1, vw: null, closed: true, partial: false, complete: true, revision: 1 };
}

const of = (names: string[], values: Values): ReturnType<typeof indicatorLines> => indicatorLines(names, KINDS, new Map([[0, values]]), [candle(0)]);

test("delta is bought minus sold volume, and its sum over the UTC day", () => {
  const candles = [candle(DAY_MS - 60_000, "5", "2"), candle(DAY_MS, "1", "4"), candle(DAY_MS + 60_000, "2.5", "1")];
  const [bars, sum] = indicatorLines(["delta"], [], new Map(), candles);
  expect(bars!.points.map(({ value }) => value)).toEqual([3, -3, 1.5]);
  expect(sum!.points.map(({ value }) => value)).toEqual([3, -3, -1.5]);
});

test("overlays share the candles' pane, every other indicator has its own", () => {
  const result = of(["rsi:7", "sma:9", "macd:12:26:9", "delta"], {
    "rsi:7": 50, "sma:9": 1, "macd:12:26:9:macd": 1, "macd:12:26:9:macdsignal": 2, "macd:12:26:9:macdhist": -1,
  });
  expect(result.map(({ name, pane, columns }) => [name, pane, columns ?? false])).toEqual([
    ["RSI 7", 1, false],
    ["SMA 9", 0, false],
    ["MACD 12 26 9 MACD", 2, false],
    ["MACD 12 26 9 MACDSIGNAL", 2, false],
    ["MACD 12 26 9 MACDHIST", 2, true],
    ["Delta", 3, true],
    ["Delta, day", 3, false],
  ]);
});

test("a column belongs to the longest matching name; a supertrend's direction is not drawn", () => {
  const result = of(["ma:30", "ma:30:1", "supertrend:10:3"], { "ma:30": 1, "ma:30:1": 2, "supertrend:10:3:supertrend": 3, "supertrend:10:3:trend": -1 });
  expect(result.map(({ name, points }) => [name, points[0]!.value])).toEqual([["MA 30", 1], ["MA 30 1", 2], ["SUPERTREND 10 3 SUPERTREND", 3]]);
});

test("a null value draws no point", () => {
  expect(of(["sma:20"], { "sma:20": null })[0]!.points).toEqual([]);
});

test("a name consists of letters and numbers", () => {
  expect(["sma:20", "macd:12,26,9", "sar:0.02:0.2", "vwap"].filter(isName)).toHaveLength(4);
  expect(["", "sma 20", "20", "a:b", "<b>", "x".repeat(40)].filter(isName)).toEqual([]);
});
