import { expect, test } from "vitest";

import type { Candle } from "./candles";
import { priceAxis } from "./outliers";

function candle(t: number, low: number, high: number, close = (low + high) / 2): Candle {
  const [l, h, c] = [low, high, close].map(String) as [string, string, string];
  return { t, o: c, h, l, c, v: "1", bv: "0", sv: "0", n: 1, vw: null, closed: true, partial: false, complete: true, revision: 1 };
}

const market = Array.from({ length: 50 }, (_, n) => candle(n, 100 + n / 10, 101 + n / 10));

test("a moving market keeps its full price range", () => {
  expect(priceAxis(market)).toBeUndefined();
  expect(priceAxis(market.map((each, n) => candle(n, Number(each.l) * 1.05 ** n, Number(each.h) * 1.05 ** n)))).toBeUndefined();
});

test("a bad print, above or below, is off the axis and reported", () => {
  const result = priceAxis([...market, candle(50, 104, 3_500, 105), candle(51, 0.01, 105, 105)])!;
  expect(result.outliers).toEqual([50, 51]);
  expect(result.from).toBe(100);
  expect(result.to).toBeLessThan(107);
});

test("a bad print in a flat market is off the axis too", () => {
  const still = Array.from({ length: 20 }, (_, n) => candle(n, 195, 195));
  expect(priceAxis(still)).toBeUndefined();
  expect(priceAxis([...still, candle(20, 195, 400, 195)])).toEqual({ from: 195, to: 195, outliers: [20] });
});

test("a few candles are drawn in full", () => {
  expect(priceAxis([candle(0, 1, 2), candle(1, 1, 50)])).toBeUndefined();
});
