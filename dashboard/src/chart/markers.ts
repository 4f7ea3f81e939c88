/** Chart markers: one per candle and side, labelled where there is room. */

import type { Candle, SeriesStore } from "../model/candles";
import { notes } from "../model/flags";
import type { Pattern } from "../model/messages";
import { lastCandleStart, patternLabel } from "../model/patterns";

export interface Marker {
  t: number;
  above: boolean;
  shape: "arrowUp" | "arrowDown" | "circle" | "square";
  /** CSS variable of the colour. */
  color: string;
  text: string;
  small: boolean;
}

const LETTER_PX = 6.5;
const LABEL_PADDING = 10;
/** Distance in pixels from a candle to the middle of its label, and between two labels. */
const LABEL_OFFSET = 26;
const LABEL_HEIGHT = 18;

/** Converts times and prices to coordinates in a pane of the given width, in pixels. */
export interface Coordinates {
  x(t: number): number | null;
  y(price: number): number;
  width: number;
}

/** Returns the markers of a series, oldest first. `outliers` are off the axis; `spacing` is the distance between candles in pixels. */
export function markers(store: SeriesStore, patterns: Pattern[], spacing: number, coordinates: Coordinates, outliers: number[] = []): Marker[] {
  const entries: { mark: Marker; rank: number }[] = [];
  for (const group of groupRuns(store, patterns)) entries.push({ mark: patternMarker(group), rank: rank(group[0]!.pattern) });
  for (const { t, above, text, weight } of notes(store, outliers)) entries.push({ mark: noteMarker(t, above, text), rank: weight });
  removeOverlaps(store, entries, spacing, coordinates);
  return entries.map(({ mark }) => mark).sort((a, b) => a.t - b.t);
}

/** A pattern, or the strongest of a run of the same anomaly in consecutive candles. */
interface Run {
  pattern: Pattern;
  count: number;
}

function runs(store: SeriesStore, patterns: Pattern[]): Run[] {
  const numbers = new Map(store.all().map(({ t }, n) => [t, n]));
  const inStore = patterns.filter((each) => numbers.has(lastCandleStart(each)));
  const open = new Map<string, { run: Run; last: number }>();
  const result: Run[] = [];
  for (const pattern of inStore.sort((a, b) => a.timestamp - b.timestamp)) {
    const number = numbers.get(lastCandleStart(pattern))!;
    const key = [pattern.pattern_type, pattern.direction, pattern.status].join();
    const current = pattern.kind === "anomaly" ? open.get(key) : undefined;
    if (current && number - current.last <= 1) {
      current.last = number;
      current.run.count += 1;
      if (pattern.confidence > current.run.pattern.confidence) current.run.pattern = pattern;
      continue;
    }
    const run = { pattern, count: 1 };
    open.set(key, { run, last: number });
    result.push(run);
  }
  return result;
}

/** Groups patterns by candle and side, highest rank first. */
function groupRuns(store: SeriesStore, patterns: Pattern[]): Run[][] {
  const groups = new Map<string, Run[]>();
  for (const run of runs(store, patterns)) {
    const key = `${lastCandleStart(run.pattern)}/${run.pattern.direction < 0}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()].map((group) => group.sort((a, b) => rank(b.pattern) - rank(a.pattern)));
}

function rank({ status, kind, confidence }: Pattern): number {
  return (status === "retracted" ? 0 : kind === "chart" ? 2 : 1) + confidence;
}

function patternMarker(group: Run[]): Marker {
  const { pattern: first, count } = group[0]!;
  const down = first.direction < 0;
  const retracted = first.status === "retracted";
  return {
    t: lastCandleStart(first),
    above: down,
    shape: first.direction === 0 ? "circle" : down ? "arrowDown" : "arrowUp",
    color: retracted || first.direction === 0 ? "--muted" : down ? "--down" : "--up",
    text: patternLabel(first) + (count > 1 ? ` ×${count}` : "") + (group.length > 1 ? ` +${group.length - 1}` : ""),
    small: retracted,
  };
}

function noteMarker(t: number, above: boolean, text: string): Marker {
  return { t, above, shape: "square", color: "--warn", text, small: true };
}

/** Removes labels that would overlap a candle, a label of higher rank, or the edge of the pane. */
function removeOverlaps(store: SeriesStore, entries: { mark: Marker; rank: number }[], spacing: number, { x, y: height, width }: Coordinates): void {
  const all = store.all();
  const numbers = new Map(all.map(({ t }, n) => [t, n]));
  const placed: { middle: number; half: number; y: number }[] = [];
  const covers = (each: Candle, y: number): boolean => height(Number(each.h)) < y + LABEL_HEIGHT / 2 && height(Number(each.l)) > y - LABEL_HEIGHT / 2;
  for (const { mark } of [...entries].sort((a, b) => b.rank - a.rank || b.mark.t - a.mark.t)) {
    const number = numbers.get(mark.t) ?? 0;
    const middle = x(mark.t) ?? -Infinity;
    const half = (mark.text.length * LETTER_PX + LABEL_PADDING) / 2;
    const candle = store.get(mark.t)!;
    const y = height(Number(mark.above ? candle.h : candle.l)) + (mark.above ? -LABEL_OFFSET : LABEL_OFFSET);
    const reach = Math.floor(half / spacing);
    const neighbours = all.slice(Math.max(0, number - reach), number + reach + 1).filter((each) => each !== candle);
    const isCut = [0, width].some((edge) => Math.abs(edge - middle) < half);
    const isBlocked =
      isCut ||
      neighbours.some((each) => covers(each, y)) ||
      placed.some((each) => Math.abs(each.middle - middle) < each.half + half && Math.abs(each.y - y) < LABEL_HEIGHT);
    if (isBlocked) mark.text = "";
    else placed.push({ middle, half, y });
  }
}
