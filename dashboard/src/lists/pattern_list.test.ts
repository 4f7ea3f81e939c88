// @vitest-environment happy-dom
import { expect, test } from "vitest";

import { PatternList, describeOutcome, patternFilter } from "./pattern_list";
import { Settings } from "../browser/settings";
import type { Pattern } from "../model/messages";
import { PATTERN_KINDS } from "../model/patterns";

const pattern = { pattern_type: "double_top", direction: -1 } as Pattern;
const outcome = { pattern_type: "double_top", direction: -1, count: 30, judged: 24, hit_rate: 0.583, base_hit_rate: 0.51, verdict: "-" };

test("a pattern is shown with its hit rate, and the base rate of all candles", () => {
  expect(describeOutcome(pattern, { horizon: 10, outcomes: [outcome] })).toBe("after 10 candles 58 % of 24 moved in its direction (all candles: 51 %)");
  expect(describeOutcome(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 3, verdict: "few" }] })).toContain("; too few to tell");
  expect(describeOutcome(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 0, hit_rate: null }] })).toBe("no earlier one with 10 candles after it");
  expect(describeOutcome(pattern, { horizon: 10, outcomes: [{ ...outcome, direction: 1 }] })).toBe("");
  expect(describeOutcome(pattern, undefined)).toBe("");
});

const MINUTE = 60_000;
const patternAt = (minute: number, changes: Partial<Pattern> = {}): Pattern => ({
  id: `${minute}`, symbol: "A", timeframe: "1m", pattern_type: "cdl_engulfing", kind: "candlestick", direction: 1,
  confidence: 0.7, level: "medium", trigger_price: "1", timestamp: minute * MINUTE, status: "active", revision: 1, ...changes,
});

function listed(onEnd?: () => void): { list: PatternList; names: () => string[]; box: HTMLElement; selected: string[] } {
  const box = document.createElement("div");
  const selected: string[] = [];
  const list = new PatternList(box, document.createElement("div"), ({ id }) => selected.push(id), onEnd);
  return { list, box, selected, names: () => [...box.querySelectorAll<HTMLElement>(".pattern")].map(({ dataset }) => dataset.id!) };
}

test("the list is filtered by the kinds and the confidence selected on the page", () => {
  document.body.innerHTML = '<span id="pattern-kinds"></span><select id="pattern-least"></select>';
  const { list, names } = listed();
  const settings = new Settings();
  settings.set({ kinds: [...PATTERN_KINDS], least: 0 });
  settings.subscribe(["kinds", "least"], ({ kinds, least }) => list.redraw({ choice: "strong", kinds, least }));
  patternFilter(settings);
  list.merge(patternAt(1), patternAt(2, { kind: "chart", confidence: 0.95 }), patternAt(3, { kind: "anomaly", confidence: 0.9 }));
  expect(names()).toEqual(["3", "2", "1"]);
  const [candlestick] = document.querySelectorAll<HTMLInputElement>("#pattern-kinds input");
  candlestick!.click();
  expect(names()).toEqual(["3", "2"]);
  const least = document.querySelector("select")!;
  expect([...least.options].map(({ text }) => text)).toEqual(["any", "≥ 50 %", "≥ 60 %", "≥ 70 %", "≥ 80 %", "≥ 90 %"]);
  least.value = "≥ 90 %";
  least.dispatchEvent(new Event("change"));
  candlestick!.click();
  expect(names()).toEqual(["3", "2"]); // 70 % is below the minimum
  expect([settings.now.kinds, settings.now.least]).toEqual([[...PATTERN_KINDS], 90]);
});

test("older cached patterns are listed by page, up to the end", () => {
  let ends = 0;
  const { list, names, box, selected } = listed(() => (ends += 1));
  list.merge(...Array.from({ length: 250 }, (_, n) => patternAt(n + 1)));
  list.setRange(200 * MINUTE, Infinity);
  expect(names()).toHaveLength(50);
  expect(list.showMore()).toBe(true);
  expect([names().length, names()[0], names().at(-1)]).toEqual([150, "250", "101"]);
  expect(list.showMore()).toBe(true);
  expect(names()).toHaveLength(250);
  expect(list.showMore()).toBe(false);
  box.querySelector<HTMLElement>('[data-id="7"]')!.click();
  expect(selected).toEqual(["7"]);
  const older = box.querySelector<HTMLButtonElement>(".older")!;
  older.click();
  expect([ends, older.hidden]).toEqual([1, false]);
  list.hideOlder();
  expect(older.hidden).toBe(true);
});

test("the highest revision of a pattern wins; a retracted one is struck out", () => {
  const { list, names, box } = listed();
  list.merge(patternAt(1), patternAt(1, { status: "retracted", revision: 2 }));
  expect(list.merge(patternAt(1))).toBe(false);
  expect(names()).toEqual(["1"]);
  expect(box.querySelector(".pattern.retracted")!.textContent).toContain("retracted by a correction");
});
