/** Indicators beside the candles: `sma:20`, as the history API computes them, and the delta of sides. */

import type { Candle } from "./candles";

export interface Point {
  t: number;
  value: number;
}

export interface Line {
  name: string;
  /** The indicator, with its parameters. */
  of: string;
  /** As rules of alerts and the API name its values; none has no rule. */
  column?: string;
  color: string;
  /** 0: over the candles; those of one other number share a pane under them. */
  pane: number;
  /** Drawn as columns, by their sign. */
  columns?: boolean;
  /** Has a separate scale in its pane. */
  apart?: boolean;
  points: Point[];
}

/** An indicator that the API knows. `name`: with its defaults; `overlay`: its values are prices. */
export interface Kind {
  name: string;
  title: string;
  group: string;
  columns: string[];
  overlay: boolean;
}

/** Of one candle, by column; null before there is one. */
export type Values = Record<string, number | null>;

export const DELTA = "delta";

const NAME = /^[a-z][a-z0-9_]{0,30}((?:[:,]-?[0-9.]{1,12}){0,8})$/;
const COLORS = ["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6"];
const DAY_MS = 86_400_000;
/** Measured in prices, and no price; a direction of 1 or -1 beside a stop. */
const APART = ["avgdev"];
const NOT_DRAWN = /^supertrend:.*:trend$/;

/** Whether a text can be an indicator; the API says whether there is one. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** `macd` of `macd:12:26:9`. */
export function base(name: string): string {
  return name.split(/[:,]/)[0]!;
}

/** `MACD 12 26 9` */
export function title(name: string): string {
  return name.toUpperCase().replaceAll(/[:,]/g, " ");
}

/** The lines of indicators in the order in which they were chosen, each below the candles in a pane of its own. */
export function lines(names: string[], kinds: Kind[], values: ReadonlyMap<number, Values>, candles: Candle[]): Line[] {
  const times = candles.map(({ t }) => t);
  const found: Line[] = [];
  let hues = 0;
  let panes = 0;
  for (const name of names) {
    if (name === DELTA) {
      found.push(...delta(candles, ++panes));
      continue;
    }
    const kind = base(name);
    const isOver = !APART.includes(kind) && (kinds.find((each) => base(each.name) === kind)?.overlay ?? false);
    const pane = isOver ? 0 : ++panes;
    const hue = hues++;
    columnsOf(name, names, values).forEach((column, n) => {
      const points = times.flatMap((t) => {
        const value = values.get(t)?.[column];
        return value == null ? [] : [{ t, value }];
      });
      const color = COLORS[(isOver ? hue : hue + n) % COLORS.length]!;
      const isColumns = column.endsWith("hist");
      found.push({ name: title(column), of: title(name), column, color: isColumns ? "--muted" : color, pane, points, ...(isColumns ? { columns: true } : {}) });
    });
  }
  return found;
}


/** The columns that are drawn, as the API has named them: `ma:30:1` is no column of `ma:30`. */
function columnsOf(name: string, names: string[], values: ReadonlyMap<number, Values>): string[] {
  const some: Values = values.values().next().value ?? {};
  const owner = (column: string): string | undefined =>
    names.filter((each) => column === each || column.startsWith(`${each}:`)).sort((a, b) => b.length - a.length)[0];
  return Object.keys(some).filter((each) => owner(each) === name && !NOT_DRAWN.test(each));
}

/** Bought less sold volume of each candle, and its sum since the start of the UTC day. */
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
    { name: "Delta", of: "Delta", column: "delta", color: "--muted", pane, columns: true, points },
    { name: "Delta, day", of: "Delta", color: "--line-2", pane, apart: true, points: sums },
  ];
}
