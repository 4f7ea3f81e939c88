import { expect, test } from "vitest";

import { stepFor } from "./profile";

test("a profile has about fifty levels, in steps of 1, 2 or 5", () => {
  expect(stepFor(100, 148)).toBe(1);
  expect(stepFor(100, 149)).toBe(2);
  expect(stepFor(0, 0.0024)).toBe(0.00005);
  expect(stepFor(7e6, 7e6 + 480_000)).toBe(10_000);
  expect(stepFor(5, 5)).toBe(0);
  expect(stepFor(Infinity, -Infinity)).toBe(0);
});
