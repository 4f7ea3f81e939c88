/** Indicator lines: values from the history API, such as `sma:20`, and volume delta. */

import type { Candle } from "./candles";

export interface Point {
  t: number;
  value: number;
}

export interface Line {
  name: string;
  /** Title of the indicator with its parameters. */
  indicator: string;
  /** Column name in alert rules and the API; undefined if rules cannot use it. */
  column?: string;
  color: string;
  /** Pane index: 0 overlays the candles; lines with the same number share a pane below. */
  pane: number;
  /** Whether it is drawn as a histogram, coloured by sign. */
  columns?: boolean;
  /** Whether it has a price scale of its own in the pane. */
  hasOwnScale?: boolean;
  points: Point[];
}

/** An indicator of the API. `name` includes the default parameters; `overlay` means that its values are prices. */
export interface Kind {
  name: string;
  title: string;
  group: string;
  columns: string[];
  overlay: boolean;
}

/** Values of one candle by column; null while undefined. */
export type Values = Record<string, number | null>;

export const DELTA = "delta";

const NAME = /^[a-z][a-z0-9_]{0,30}((?:[:,]-?[0-9.]{1,12}){0,8})$/;
const COLORS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const DAY_MS = 86_400_000;
/** Measured in price units without being prices. */
const NOT_PRICES = ["avgdev"];
const NOT_DRAWN = /^supertrend:.*:trend$/;

/** Whether text is a well-formed indicator name. Whether it exists is up to the API. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Returns the name without parameters: `macd` for `macd:12:26:9`. */
export function baseName(name: string): string {
  return name.split(/[:,]/)[0]!;
}

/** Returns the display name: `MACD 12 26 9`. */
export function title(name: string): string {
  return name.toUpperCase().replaceAll(/[:,]/g, " ");
}

/** Builds the lines of the selected indicators, in order. Each one that is not an overlay has a pane of its own. */
export function indicatorLines(names: string[], kinds: Kind[], values: ReadonlyMap<number, Values>, candles: Candle[]): Line[] {
  const times = candles.map(({ t }) => t);
  const result: Line[] = [];
  let hues = 0;
  let panes = 0;
  for (const name of names) {
    if (name === DELTA) {
      result.push(...delta(candles, ++panes));
      continue;
    }
    const kind = baseName(name);
    const isOverlay = !NOT_PRICES.includes(kind) && (kinds.find((each) => baseName(each.name) === kind)?.overlay ?? false);
    const pane = isOverlay ? 0 : ++panes;
    const hue = hues++;
    columnsOf(name, names, values).forEach((column, n) => {
      const points = times.flatMap((t) => {
        const value = values.get(t)?.[column];
        return value == null ? [] : [{ t, value }];
      });
      const color = COLORS[(isOverlay ? hue : hue + n) % COLORS.length]!;
      const isColumns = column.endsWith("hist");
      result.push({ name: title(column), indicator: title(name), column, color: isColumns ? "--muted" : color, pane, points, ...(isColumns ? { columns: true } : {}) });
    });
  }
  return result;
}


/** Returns the columns to draw for an indicator. A column belongs to the longest matching name: `ma:30:1` does not belong to `ma:30`. */
function columnsOf(name: string, names: string[], values: ReadonlyMap<number, Values>): string[] {
  const sample: Values = values.values().next().value ?? {};
  const owner = (column: string): string | undefined =>
    names.filter((each) => column === each || column.startsWith(`${each}:`)).sort((a, b) => b.length - a.length)[0];
  return Object.keys(sample).filter((each) => owner(each) === name && !NOT_DRAWN.test(each));
}

/** Computes volume delta (bought minus sold) by candle, and its sum since the start of the UTC day. */
function delta(candles: Candle[], pane: number): Line[] {
  const points = candles.map(({ t, bv, sv }) => ({ t, value: Number(bv) - Number(sv) }));
  let sum = 0;
  let day = NaN;
  const sums = points.map(({ t, value }) => {
    const today = Math.floor(t / DAY_MS);
    sum = today === day ? sum + value : value;
    day = today;
    return { t, value: sum };
  });
  return [
    { name: "Delta", indicator: "Delta", column: "delta", color: "--muted", pane, columns: true, points },
    { name: "Delta, day", indicator: "Delta", color: "--line-2", pane, hasOwnScale: true, points: sums },
  ];
}
