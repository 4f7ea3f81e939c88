import { expect, test } from "vitest";

import { INDICATORS } from "./indicators";
import { stepFor } from "./profile";

test("a profile has about fifty rows, of 1, 2 or 5", () => {
  expect(stepFor(100, 148)).toBe(1);
  expect(stepFor(100, 149)).toBe(2);
  expect(stepFor(0, 0.0024)).toBe(0.00005);
  expect(stepFor(7e6, 7e6 + 480_000)).toBe(10_000);
  expect(stepFor(5, 5)).toBe(0);
  expect(stepFor(Infinity, -Infinity)).toBe(0);
});

test("delta is what was bought less what was sold, and its sum over the UTC day", () => {
  const day = 86_400_000;
  const candles = [[day - 60_000, "5", "2"], [day, "1", "4"], [day + 60_000, "2.5", "1"]].map(([t, bv, sv]) => ({
    t: t as number, o: "1", h: "1", l: "1", c: "1", v: "9", bv: bv as string, sv: sv as string,
    n: 1, vw: null, closed: true, partial: false, complete: true, revision: 1,
  }));
  const [bars, sum] = INDICATORS.delta!.lines([], candles);
  expect(bars!.points.map(({ value }) => value)).toEqual([3, -3, 1.5]);
  expect(sum!.points.map(({ value }) => value)).toEqual([3, -3, -1.5]);
});
