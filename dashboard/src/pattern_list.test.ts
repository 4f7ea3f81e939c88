// @vitest-environment happy-dom
import { expect, test } from "vitest";

import type { Pattern } from "./live";
import { KINDS } from "./marks";
import { PatternList, followed, patternFilter } from "./pattern_list";
import { Settings } from "./settings";

const pattern = { pattern_type: "double_top", direction: -1 } as Pattern;
const outcome = { pattern_type: "double_top", direction: -1, count: 30, judged: 24, hit_rate: 0.583, base_hit_rate: 0.51, verdict: "-" };

test("a pattern is shown with its hit rate, and the base rate of all candles", () => {
  expect(followed(pattern, { horizon: 10, outcomes: [outcome] })).toBe("after 10 candles 58 % of 24 went its way (all candles: 51 %)");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 3, verdict: "few" }] })).toContain("; too few to tell");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, judged: 0, hit_rate: null }] })).toBe("none before with 10 candles after it");
  expect(followed(pattern, { horizon: 10, outcomes: [{ ...outcome, direction: 1 }] })).toBe("");
  expect(followed(pattern, undefined)).toBe("");
});

const MINUTE = 60_000;
const known = (minute: number, changes: Partial<Pattern> = {}): Pattern => ({
  id: `${minute}`, symbol: "A", timeframe: "1m", pattern_type: "cdl_engulfing", kind: "candlestick", direction: 1,
  confidence: 0.7, level: "medium", trigger_price: "1", timestamp: minute * MINUTE, status: "active", revision: 1, ...changes,
});

function listed(onEnd?: () => void): { list: PatternList; names: () => string[]; box: HTMLElement; chosen: string[] } {
  const box = document.createElement("div");
  const chosen: string[] = [];
  const list = new PatternList(box, document.createElement("div"), ({ id }) => chosen.push(id), onEnd);
  return { list, box, chosen, names: () => [...box.querySelectorAll<HTMLElement>(".pattern")].map(({ dataset }) => dataset.id!) };
}

test("the list is filtered by the kinds and the confidence selected on the page", () => {
  document.body.innerHTML = '<span id="pattern-kinds"></span><select id="pattern-least"></select>';
  const { list, names } = listed();
  const settings = new Settings();
  settings.set({ kinds: [...KINDS], least: 0 });
  settings.follow(["kinds", "least"], ({ kinds, least }) => list.redraw({ choice: "strong", kinds, least }));
  patternFilter(settings);
  list.take(known(1), known(2, { kind: "chart", confidence: 0.95 }), known(3, { kind: "anomaly", confidence: 0.9 }));
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
  expect([settings.now.kinds, settings.now.least]).toEqual([[...KINDS], 90]);
});

test("older cached patterns are listed by page, up to the end", () => {
  let ends = 0;
  const { list, names, box, chosen } = listed(() => (ends += 1));
  list.take(...Array.from({ length: 250 }, (_, n) => known(n + 1)));
  list.view(200 * MINUTE, Infinity);
  expect(names()).toHaveLength(50);
  expect(list.more()).toBe(true);
  expect([names().length, names()[0], names().at(-1)]).toEqual([150, "250", "101"]);
  expect(list.more()).toBe(true);
  expect(names()).toHaveLength(250);
  expect(list.more()).toBe(false);
  box.querySelector<HTMLElement>('[data-id="7"]')!.click();
  expect(chosen).toEqual(["7"]);
  const older = box.querySelector<HTMLButtonElement>(".older")!;
  older.click();
  expect([ends, older.hidden]).toEqual([1, false]);
  list.end();
  expect(older.hidden).toBe(true);
});

test("the highest revision of a pattern wins; a retracted one is struck out", () => {
  const { list, names, box } = listed();
  list.take(known(1), known(1, { status: "retracted", revision: 2 }));
  expect(list.take(known(1))).toBe(false);
  expect(names()).toEqual(["1"]);
  expect(box.querySelector(".pattern.retracted")!.textContent).toContain("retracted by a correction");
});
