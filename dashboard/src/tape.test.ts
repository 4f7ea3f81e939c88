import { expect, test } from "vitest";

import { sizes } from "./tape";
import type { Row } from "./trade_rows";

const row = (size: string): Row => ({ symbol: "A", price: "1", size, t: 0, side: "buy", trade_id: null, received: 0, late: false });

test("the middle size is what large is measured against", () => {
  expect(sizes(["1", "50", "2"].map(row))).toEqual({ middle: 2, largest: 50 });
  expect(sizes([])).toEqual({ middle: 0, largest: 0 });
});
