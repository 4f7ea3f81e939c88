/** Marks on the chart: one a candle and side, and a name only where it has room. */

import { LENGTH_MS, type Candle, type CandleStore } from "./candles";
import type { Pattern } from "./live";
import { title } from "./pattern_names";

/** Which patterns are shown: those of shape and those of high confidence; every one; none. */
export const CHOICES = ["strong", "all", "off"] as const;
export type Choice = (typeof CHOICES)[number];

export interface Mark {
  t: number;
  above: boolean;
  shape: "arrowUp" | "arrowDown" | "circle" | "square";
  /** The CSS variable of its colour. */
  color: string;
  text: string;
  small: boolean;
}

const PIXELS_A_LETTER = 6.5;
const GAP = 10;
/** Pixels from a candle's end to the middle of a name, and between two lines of text. */
const OFF = 26;
const LINE = 18;

export function chosen(patterns: Pattern[], choice: Choice): Pattern[] {
  if (choice === "off") return [];
  if (choice === "all") return patterns;
  return patterns.filter(({ kind, level }) => kind === "chart" || level === "high");
}

/** The candle that a pattern ended with, by its start. */
export function startOf({ timestamp, timeframe }: Pattern): number {
  return timestamp - (LENGTH_MS[timeframe] ?? 0);
}

/** What a mark says of a pattern. */
export function label(pattern: Pattern): string {
  if (pattern.status === "retracted") return `✕ ${title(pattern.pattern_type)}`;
  return `${title(pattern.pattern_type)} ${Math.round(pattern.confidence * 100)}%`;
}

/** Where a price is drawn, pixels from the top. */
export type Height = (price: number) => number;

/** The marks of what is drawn, oldest first; `outliers`: beyond the axis; `spacing`: pixels from candle to candle. */
export function marks(store: CandleStore, patterns: Pattern[], spacing: number, height: Height, outliers: number[] = []): Mark[] {
  const found: { mark: Mark; rank: number }[] = [];
  for (const group of grouped(store, patterns)) found.push({ mark: patternMark(group), rank: rank(group[0]!) });
  for (const candle of store.all())
    if (!candle.complete) found.push({ mark: note(candle.t, false, "gap"), rank: 4 });
  for (const t of outliers) found.push({ mark: note(t, isLow(store.get(t)), "off the axis"), rank: 6 });
  for (const t of store.corrected) found.push({ mark: note(t, true, "corrected"), rank: 5 });
  makeRoom(store, found, spacing, height);
  return found.map(({ mark }) => mark).sort((a, b) => a.t - b.t);
}

/** Patterns that share a candle and a side of it, the weightiest first. */
function grouped(store: CandleStore, patterns: Pattern[]): Pattern[][] {
  const groups = new Map<string, Pattern[]>();
  for (const pattern of patterns) {
    const t = startOf(pattern);
    if (!store.get(t)) continue;
    const key = `${t}/${pattern.direction < 0}`;
    groups.set(key, [...(groups.get(key) ?? []), pattern]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => rank(b) - rank(a)));
}

function rank({ status, kind, confidence }: Pattern): number {
  return (status === "retracted" ? 0 : kind === "chart" ? 2 : 1) + confidence;
}

function patternMark(group: Pattern[]): Mark {
  const first = group[0]!;
  const down = first.direction < 0;
  const retracted = first.status === "retracted";
  return {
    t: startOf(first),
    above: down,
    shape: first.direction === 0 ? "circle" : down ? "arrowDown" : "arrowUp",
    color: retracted || first.direction === 0 ? "--muted" : down ? "--down" : "--up",
    text: label(first) + (group.length > 1 ? ` +${group.length - 1}` : ""),
    small: retracted,
  };
}

/** Whether it reaches further down than up. */
function isLow(candle: Candle | undefined): boolean {
  return candle !== undefined && Number(candle.c) - Number(candle.l) > Number(candle.h) - Number(candle.c);
}

function note(t: number, above: boolean, text: string): Mark {
  return { t, above, shape: "square", color: "--warn", text, small: true };
}

/** Take the names away that would lie over a candle or over a weightier name. */
function makeRoom(store: CandleStore, found: { mark: Mark; rank: number }[], spacing: number, height: Height): void {
  const all = store.all();
  const numbers = new Map(all.map(({ t }, n) => [t, n]));
  const taken: { middle: number; half: number; y: number }[] = [];
  for (const { mark } of [...found].sort((a, b) => b.rank - a.rank || b.mark.t - a.mark.t)) {
    const number = numbers.get(mark.t) ?? 0;
    const middle = number * spacing;
    const half = (mark.text.length * PIXELS_A_LETTER + GAP) / 2;
    const candle = store.get(mark.t)!;
    const y = height(Number(mark.above ? candle.h : candle.l)) + (mark.above ? -OFF : OFF);
    const reach = Math.floor(half / spacing);
    const beside = all.slice(Math.max(0, number - reach), number + reach + 1).filter((each) => each !== candle);
    const isOver =
      beside.some((each) => height(Number(each.h)) < y + LINE / 2 && height(Number(each.l)) > y - LINE / 2) ||
      taken.some((each) => Math.abs(each.middle - middle) < each.half + half && Math.abs(each.y - y) < LINE);
    if (isOver) mark.text = "";
    else taken.push({ middle, half, y });
  }
}
