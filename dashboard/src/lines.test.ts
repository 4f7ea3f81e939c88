import { expect, test } from "vitest";

import { common } from "./lines";

test("a pane is named by the words that its lines begin with alike", () => {
  expect(common(["MACD 12 26 9 MACD", "MACD 12 26 9 MACDSIGNAL", "MACD 12 26 9 MACDHIST"])).toBe("MACD 12 26 9");
  expect(common(["RSI 14"])).toBe("RSI 14");
  expect(common(["Delta", "Delta, day"])).toBe("Delta");
  expect(common([])).toBe("");
});
