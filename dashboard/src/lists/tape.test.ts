// @vitest-environment happy-dom
import { expect, test } from "vitest";

import { Tape, sizes } from "./tape";
import type { Row } from "../model/trade_rows";

const row = (size: string): Row => ({ symbol: "A", price: "1", size, t: 0, side: "buy", trade_id: null, received: 0, late: false });

test("the median size is the reference for large trades", () => {
  expect(sizes(["1", "50", "2"].map(row))).toEqual({ median: 2, largest: 50 });
  expect(sizes([])).toEqual({ median: 0, largest: 0 });
});

test("times have milliseconds, large trades are highlighted, and small ones can be filtered out", () => {
  const box = document.createElement("div");
  const tape = new Tape(box);
  ["1", "2", "1", "30", "2"].forEach((size, n) => tape.add({ ...row(size), t: 1_700_000_040_000 + 7 * n, trade_id: `${n}` }, false));
  tape.paint(0);
  const rows = (): HTMLTableRowElement[] => [...box.querySelectorAll<HTMLTableRowElement>("tbody tr")];
  expect(rows().map(({ cells }) => cells[2]!.textContent)).toEqual(["2", "30", "1", "2", "1"]);
  expect(rows().at(-1)!.cells[0]!.textContent).toBe("22:14:00.000");
  expect(rows().filter(({ classList }) => classList.contains("large")).map(({ cells }) => cells[0]!.textContent)).toEqual(["22:14:00.021"]);
  const least = box.querySelector("input")!;
  least.value = "2";
  least.dispatchEvent(new Event("input"));
  tape.paint(0);
  expect(rows().map(({ cells }) => cells[2]!.textContent)).toEqual(["2", "30", "2"]);
});
