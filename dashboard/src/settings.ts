/** What the visitor chose: kept in this browser, and taken along as a file. */

import { TIMEFRAMES } from "./address";
import { DELTA, isName } from "./indicators";
import { COLUMNS, type Column } from "./market";
import { CHOICES, type Choice } from "./marks";

export const SCALES = ["linear", "log", "percent"] as const;
export const STYLES = ["candles", "heikin-ashi", "line"] as const;
export const SORTS = ["name", "change", "last trade", "volume"] as const;
export const ZONES = ["UTC", "local"] as const;
export const TABS = ["tape", "patterns", "alerts"] as const;

export const LAYOUTS = [1, 2, 4] as const;

export type Layout = (typeof LAYOUTS)[number];
export interface PanelPlace {
  symbol: string;
  timeframe: string;
}
export type Scale = (typeof SCALES)[number];
export type Style = (typeof STYLES)[number];
export type Sort = (typeof SORTS)[number];
export type Zone = (typeof ZONES)[number];
export type Tab = (typeof TABS)[number];

export interface Choices {
  indicators: string[];
  marks: Choice;
  scale: Scale;
  style: Style;
  sort: Sort;
  /** How many charts there are, and what those beside the first show. */
  layout: Layout;
  panels: PanelPlace[];
  /** Of the list. */
  columns: Column[];
  zone: Zone;
  tab: Tab;
  timeframe: string;
  /** The last one that was shown. */
  symbol: string;
  favourites: string[];
  hidden: string[];
}

export const DEFAULTS: Choices = {
  indicators: ["sma:20"],
  marks: "strong",
  scale: "linear",
  style: "candles",
  layout: 1,
  panels: [],
  sort: "name",
  columns: [],
  zone: "UTC",
  tab: "tape",
  timeframe: "1m",
  symbol: "",
  favourites: [],
  hidden: [],
};

const KEY = "kandle.settings";
const MOST_NAMES = 10_000;
export const MOST_INDICATORS = 16;

/** What of a stored or imported text is a choice; anything else is as it is by default. */
export function parsed(text: string | null): Choices {
  let given: Partial<Record<keyof Choices, unknown>> = {};
  try {
    const read: unknown = JSON.parse(text ?? "{}");
    if (typeof read === "object" && read !== null) given = read;
  } catch {
    // Not ours: as by default.
  }
  const one = <T extends string>(value: unknown, all: readonly T[], otherwise: T): T => all.find((each) => each === value) ?? otherwise;
  const names = (value: unknown, otherwise: string[]): string[] =>
    Array.isArray(value) ? [...new Set(value.filter((each) => typeof each === "string"))].slice(0, MOST_NAMES) : otherwise;
  return {
    indicators: names(given.indicators, DEFAULTS.indicators).filter((each) => each === DELTA || isName(each)).slice(0, MOST_INDICATORS),
    marks: one(given.marks, CHOICES, DEFAULTS.marks),
    scale: one(given.scale, SCALES, DEFAULTS.scale),
    style: one(given.style, STYLES, DEFAULTS.style),
    layout: LAYOUTS.find((each) => each === given.layout) ?? DEFAULTS.layout,
    panels: places(given.panels),
    columns: COLUMNS.filter((each) => names(given.columns, []).includes(each)),
    sort: one(given.sort, SORTS, DEFAULTS.sort),
    zone: one(given.zone, ZONES, DEFAULTS.zone),
    tab: one(given.tab, TABS, DEFAULTS.tab),
    timeframe: one(given.timeframe, TIMEFRAMES, DEFAULTS.timeframe),
    symbol: typeof given.symbol === "string" ? given.symbol : "",
    favourites: names(given.favourites, []),
    hidden: names(given.hidden, []),
  };
}

/** Those that are a symbol and a timeframe. */
function places(value: unknown): PanelPlace[] {
  const all: unknown[] = Array.isArray(value) ? value : [];
  return all
    .filter((each): each is PanelPlace => typeof each === "object" && each !== null && typeof (each as PanelPlace).symbol === "string" && TIMEFRAMES.includes((each as PanelPlace).timeframe))
    .slice(0, LAYOUTS.at(-1)! - 1)
    .map(({ symbol, timeframe }) => ({ symbol, timeframe }));
}

export class Settings {
  private choices = parsed(localStorage.getItem(KEY));

  get now(): Readonly<Choices> {
    return this.choices;
  }

  set(changed: Partial<Choices>): void {
    this.choices = { ...this.choices, ...changed };
    localStorage.setItem(KEY, this.text);
  }

  /** Put a name into a list, or take it out; true where it is in it now. */
  toggle(list: "favourites" | "hidden", name: string): boolean {
    const isIn = !this.choices[list].includes(name);
    this.set({ [list]: isIn ? [...this.choices[list], name] : this.choices[list].filter((each) => each !== name) });
    return isIn;
  }

  /** All of it, as a file has it. */
  get text(): string {
    return JSON.stringify(this.choices, undefined, 2);
  }

  replace(text: string): void {
    this.set(parsed(text));
  }
}
