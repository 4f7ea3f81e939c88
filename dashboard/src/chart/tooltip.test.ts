// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";

import type { Candle } from "../model/candles";
import { flags } from "../model/flags";
import { drawTooltip } from "./tooltip";
import type { Pattern } from "../model/messages";

const candle = { t: 60_000, o: "1", h: "9", l: "1", c: "1", v: "1", closed: true, partial: false, complete: false, revision: 1 } as Candle;
const pattern = (n: number, direction = 1): Pattern => ({ pattern_type: "cdl_engulfing", direction, confidence: n / 100, status: "active" }) as Pattern;

let box: HTMLElement;

beforeEach(() => {
  document.body.innerHTML = '<div id="charts"><div id="chart"></div><div id="tip" hidden></div></div>';
  box = document.getElementById("tip")!;
  for (const id of ["charts", "chart"]) Object.defineProperty(document.getElementById(id), "clientWidth", { value: 600 });
  drawTooltip(undefined, null, [], []);
});

test("the tooltip of a candle shows its patterns and flags", () => {
  drawTooltip(candle, 100, flags(candle, true, true), [pattern(83), pattern(70, -1)]);
  expect([...box.children].map(({ textContent, className }) => [className, textContent])).toEqual([
    ["up", "engulfing 83%"],
    ["down", "engulfing 70%"],
    ["flag", "Gap in the feed: trades of this candle are missing."],
    ["flag", "Corrected: late, cancelled or corrected trades changed it after it closed."],
    ["flag", "Outlier: a price far off the market, beyond the axis."],
  ]);
  expect([box.hidden, box.style.left, box.style.right]).toEqual([false, "114px", ""]);
});

test("in the right half it is left of the pointer, and it lists eight patterns at most", () => {
  drawTooltip(candle, 500, [], Array.from({ length: 10 }, (_, n) => pattern(n + 50)));
  expect([box.children.length, box.lastElementChild!.textContent]).toEqual([9, "and 2 more"]);
  expect([box.style.left, box.style.right]).toEqual(["", "114px"]);
});

test("it is hidden without a pointer or content", () => {
  drawTooltip(candle, 100, [], [pattern(83)]);
  drawTooltip(candle, null, [], [pattern(83)]);
  expect(box.hidden).toBe(true);
  drawTooltip(candle, 100, flags({ ...candle, complete: true }, false), []);
  expect(box.hidden).toBe(true);
});
