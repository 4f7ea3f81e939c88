import { expect, test } from "vitest";

import type { Pattern } from "./live";
import { followed } from "./pattern_list";

const pattern = { pattern_type: "double_top", direction: -1 } as Pattern;
const outcome = { pattern_type: "double_top", direction: -1, count: 30, judged: 24, hit_rate: 0.583, base_hit_rate: 0.51, verdict: "-" };

test("beside a pattern stands how often its like was right, and how often any candle was", () => {
  expect(followed(pattern, { horizon: 10, outcomes: [outcome] })).toBe("after 10 candles 58 % of 24 went its way (all candles: 51 %)");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 3, verdict: "few" }] })).toContain("; too few to tell");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 0, hit_rate: null }] })).toBe("none before with 10 candles after it");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, direction: 1 }] })).toBe("");
  expect(followed(pattern, undefined)).toBe("");
});
