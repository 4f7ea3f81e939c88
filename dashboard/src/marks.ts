/** Chart markers: one per candle and side, labelled where there is room. */

import type { Candle, Stored } from "./candles";
import { notes } from "./flags";
import { lengthOf } from "./frame";
import type { Pattern } from "./live";
import { title } from "./pattern_names";

/** Which patterns get a marker: chart patterns and those of high confidence, all, or none. */
export const CHOICES = ["strong", "all", "off"] as const;
export type Choice = (typeof CHOICES)[number];
export const KINDS = ["candlestick", "chart", "anomaly"] as const;
export type PatternKind = (typeof KINDS)[number];

/** `kinds` and `least` (minimum confidence in percent) also filter the list. */
export interface Filter {
  choice: Choice;
  kinds: readonly PatternKind[];
  least: number;
}

export const EVERY_KIND: Filter = { choice: "strong", kinds: KINDS, least: 0 };

export interface Mark {
  t: number;
  above: boolean;
  shape: "arrowUp" | "arrowDown" | "circle" | "square";
  /** CSS variable of the colour. */
  color: string;
  text: string;
  small: boolean;
}

const PIXELS_A_LETTER = 6.5;
const GAP = 10;
/** Distance in pixels from a candle to the middle of its label, and between two labels. */
const OFF = 26;
const LINE = 18;

/** Whether a pattern passes the filter by kind and confidence. */
export function passes({ kind, confidence }: Pattern, { kinds, least }: Filter): boolean {
  return kinds.some((each) => each === kind) && Math.round(confidence * 100) >= least;
}

export function chosen(patterns: Pattern[], filter: Filter): Pattern[] {
  if (filter.choice === "off") return [];
  const wanted = patterns.filter((each) => passes(each, filter));
  return filter.choice === "all" ? wanted : wanted.filter(({ kind, level }) => kind === "chart" || level === "high");
}

/** Returns the start of the pattern's last candle. */
export function startOf({ timestamp, timeframe }: Pattern): number {
  return timestamp - lengthOf(timeframe);
}

/** Returns the label of a pattern's marker. */
export function label(pattern: Pattern): string {
  if (pattern.status === "retracted") return `✕ ${title(pattern.pattern_type)}`;
  return `${title(pattern.pattern_type)} ${Math.round(pattern.confidence * 100)}%`;
}

/** Converts times and prices to coordinates in a pane of the given width, in pixels. */
export interface Places {
  x(t: number): number | null;
  y(price: number): number;
  width: number;
}

/** Returns the markers of a series, oldest first. `outliers` are off the axis; `spacing` is the distance between candles in pixels. */
export function marks(store: Stored, patterns: Pattern[], spacing: number, places: Places, outliers: number[] = []): Mark[] {
  const found: { mark: Mark; rank: number }[] = [];
  for (const group of grouped(store, patterns)) found.push({ mark: patternMark(group), rank: rank(group[0]!.pattern) });
  for (const { t, above, text, weight } of notes(store, outliers)) found.push({ mark: note(t, above, text), rank: weight });
  makeRoom(store, found, spacing, places);
  return found.map(({ mark }) => mark).sort((a, b) => a.t - b.t);
}

/** A pattern, or the strongest of a run of the same anomaly in consecutive candles. */
interface Run {
  pattern: Pattern;
  count: number;
}

function runs(store: Stored, patterns: Pattern[]): Run[] {
  const numbers = new Map(store.all().map(({ t }, n) => [t, n]));
  const drawn = patterns.filter((each) => numbers.has(startOf(each)));
  const open = new Map<string, { run: Run; last: number }>();
  const found: Run[] = [];
  for (const pattern of drawn.sort((a, b) => a.timestamp - b.timestamp)) {
    const number = numbers.get(startOf(pattern))!;
    const key = [pattern.pattern_type, pattern.direction, pattern.status].join();
    const known = pattern.kind === "anomaly" ? open.get(key) : undefined;
    if (known && number - known.last <= 1) {
      known.last = number;
      known.run.count += 1;
      if (pattern.confidence > known.run.pattern.confidence) known.run.pattern = pattern;
      continue;
    }
    const run = { pattern, count: 1 };
    open.set(key, { run, last: number });
    found.push(run);
  }
  return found;
}

/** Groups patterns by candle and side, highest rank first. */
function grouped(store: Stored, patterns: Pattern[]): Run[][] {
  const groups = new Map<string, Run[]>();
  for (const run of runs(store, patterns)) {
    const key = `${startOf(run.pattern)}/${run.pattern.direction < 0}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => rank(b.pattern) - rank(a.pattern)));
}

function rank({ status, kind, confidence }: Pattern): number {
  return (status === "retracted" ? 0 : kind === "chart" ? 2 : 1) + confidence;
}

function patternMark(group: Run[]): Mark {
  const { pattern: first, count } = group[0]!;
  const down = first.direction < 0;
  const retracted = first.status === "retracted";
  return {
    t: startOf(first),
    above: down,
    shape: first.direction === 0 ? "circle" : down ? "arrowDown" : "arrowUp",
    color: retracted || first.direction === 0 ? "--muted" : down ? "--down" : "--up",
    text: label(first) + (count > 1 ? ` ×${count}` : "") + (group.length > 1 ? ` +${group.length - 1}` : ""),
    small: retracted,
  };
}

function note(t: number, above: boolean, text: string): Mark {
  return { t, above, shape: "square", color: "--warn", text, small: true };
}

/** Removes labels that would overlap a candle, a label of higher rank, or the edge of the pane. */
function makeRoom(store: Stored, found: { mark: Mark; rank: number }[], spacing: number, { x, y: height, width }: Places): void {
  const all = store.all();
  const numbers = new Map(all.map(({ t }, n) => [t, n]));
  const taken: { middle: number; half: number; y: number }[] = [];
  const covers = (each: Candle, y: number): boolean => height(Number(each.h)) < y + LINE / 2 && height(Number(each.l)) > y - LINE / 2;
  for (const { mark } of [...found].sort((a, b) => b.rank - a.rank || b.mark.t - a.mark.t)) {
    const number = numbers.get(mark.t) ?? 0;
    const middle = x(mark.t) ?? -Infinity;
    const half = (mark.text.length * PIXELS_A_LETTER + GAP) / 2;
    const candle = store.get(mark.t)!;
    const y = height(Number(mark.above ? candle.h : candle.l)) + (mark.above ? -OFF : OFF);
    const reach = Math.floor(half / spacing);
    const beside = all.slice(Math.max(0, number - reach), number + reach + 1).filter((each) => each !== candle);
    const isCut = [0, width].some((edge) => Math.abs(edge - middle) < half);
    const isOver =
      isCut ||
      beside.some((each) => covers(each, y)) ||
      taken.some((each) => Math.abs(each.middle - middle) < each.half + half && Math.abs(each.y - y) < LINE);
    if (isOver) mark.text = "";
    else taken.push({ middle, half, y });
  }
}
