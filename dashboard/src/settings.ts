/** User settings, stored in the browser and exported as a file. */

import { DIGITS, NUMBERS, type Digits, type Numbers } from "./format";
import { TIMEFRAMES, isFrame } from "./frame";
import { DELTA, isName } from "./indicators";
import { COLUMNS, SORTS, type Column, type Group, type Sort } from "./market";
import { CHOICES, KINDS, type Choice, type PatternKind } from "./marks";
import { store, stored } from "./storage";
import { ZONES, type Zone } from "./zones";

export const SCALES = ["linear", "log", "percent"] as const;
export const STYLES = ["candles", "heikin-ashi", "line"] as const;
export const TABS = ["tape", "patterns", "alerts"] as const;
export const LAYOUTS = [1, 2, 4] as const;
/** Choices of the minimum confidence of patterns, percent. */
export const LEAST = [0, 50, 60, 70, 80, 90] as const;

export type Layout = (typeof LAYOUTS)[number];
export interface PanelPlace {
  symbol: string;
  timeframe: string;
  indicators: string[];
}
export type Scale = (typeof SCALES)[number];
export type Style = (typeof STYLES)[number];
export type Tab = (typeof TABS)[number];

export interface Choices {
  indicators: string[];
  marks: Choice;
  /** Kinds and minimum confidence of patterns, on the chart and in the list. */
  kinds: PatternKind[];
  least: number;
  scale: Scale;
  style: Style;
  sort: Sort;
  /** Whether the list's sort order is reversed. */
  reversed: boolean;
  /** Number of charts, and the state of the additional ones. */
  layout: Layout;
  panels: PanelPlace[];
  /** Columns of the list. */
  columns: Column[];
  zone: Zone;
  numbers: Numbers;
  digits: Digits;
  tab: Tab;
  timeframe: string;
  /** Timeframes and bar types with a button beside the standard ones. */
  frames: string[];
  /** The last selected symbol. */
  symbol: string;
  favourites: string[];
  hidden: string[];
  /** Named lists of symbols, and the current one; empty for all symbols. */
  groups: Group[];
  group: string;
  /** Session for the list's change since the open, as the API takes it: `XNYS`, `17:00@America/New_York`; empty for the UTC day. */
  session: string;
}

export const DEFAULTS: Choices = {
  indicators: ["sma:20"],
  marks: "strong",
  kinds: [...KINDS],
  least: 0,
  scale: "linear",
  style: "candles",
  layout: 1,
  panels: [],
  sort: "name",
  reversed: false,
  columns: [],
  zone: "UTC",
  numbers: "1,234.5",
  digits: "fixed",
  tab: "tape",
  timeframe: "1m",
  frames: [],
  symbol: "",
  favourites: [],
  hidden: [],
  groups: [],
  group: "",
  session: "",
};

const KEY = "kandle.settings";
const MOST_NAMES = 10_000;
const MOST_GROUPS = 100;
const MOST_LETTERS = 60;
export const MOST_FRAMES = 4;
export const MOST_INDICATORS = 16;

/** Parses stored or imported settings. Invalid values become defaults. */
export function parsed(text: string | null): Choices {
  let given: Partial<Record<keyof Choices, unknown>> = {};
  try {
    const read: unknown = JSON.parse(text ?? "{}");
    if (typeof read === "object" && read !== null) given = read;
  } catch {
    // Not valid JSON: use the defaults.
  }
  const groups = groupsOf(given.groups);
  return {
    indicators: indicatorsOf(given.indicators, DEFAULTS.indicators),
    marks: one(given.marks, CHOICES, DEFAULTS.marks),
    kinds: KINDS.filter((each) => names(given.kinds, DEFAULTS.kinds).includes(each)),
    least: LEAST.find((each) => each === given.least) ?? DEFAULTS.least,
    scale: one(given.scale, SCALES, DEFAULTS.scale),
    style: one(given.style, STYLES, DEFAULTS.style),
    layout: LAYOUTS.find((each) => each === given.layout) ?? DEFAULTS.layout,
    panels: places(given.panels),
    columns: COLUMNS.filter((each) => names(given.columns, []).includes(each)),
    sort: one(given.sort, SORTS, DEFAULTS.sort),
    reversed: given.reversed === true,
    zone: one(given.zone, ZONES, DEFAULTS.zone),
    numbers: one(given.numbers, NUMBERS, DEFAULTS.numbers),
    digits: one(given.digits, DIGITS, DEFAULTS.digits),
    tab: one(given.tab, TABS, DEFAULTS.tab),
    timeframe: isFrame(textOf(given.timeframe)) ? textOf(given.timeframe) : DEFAULTS.timeframe,
    frames: names(given.frames, []).filter((each) => isFrame(each) && !isUsual(each)).slice(-MOST_FRAMES),
    symbol: textOf(given.symbol),
    favourites: names(given.favourites, []),
    hidden: names(given.hidden, []),
    groups,
    group: groups.some(({ name }) => name === given.group) ? textOf(given.group) : "",
    session: textOf(given.session).slice(0, MOST_LETTERS),
  };
}

export function isUsual(frame: string): boolean {
  return TIMEFRAMES.some((each) => each === frame);
}

function one<T extends string>(value: unknown, all: readonly T[], otherwise: T): T {
  return all.find((each) => each === value) ?? otherwise;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function names(value: unknown, otherwise: readonly string[]): string[] {
  if (!Array.isArray(value)) return [...otherwise];
  return [...new Set(value.filter((each) => typeof each === "string"))].slice(0, MOST_NAMES);
}

function indicatorsOf(value: unknown, otherwise: readonly string[]): string[] {
  return names(value, otherwise).filter((each) => each === DELTA || isName(each)).slice(0, MOST_INDICATORS);
}

function objects(value: unknown): Record<string, unknown>[] {
  return (Array.isArray(value) ? value : []).filter((each): each is Record<string, unknown> => typeof each === "object" && each !== null);
}

/** Returns the valid panels. */
function places(value: unknown): PanelPlace[] {
  return objects(value)
    .filter(({ symbol, timeframe }) => typeof symbol === "string" && isFrame(textOf(timeframe)))
    .slice(0, LAYOUTS.at(-1)! - 1)
    .map(({ symbol, timeframe, indicators }) => ({ symbol: textOf(symbol), timeframe: textOf(timeframe), indicators: indicatorsOf(indicators, []) }));
}

/** Returns the groups with unique names. */
function groupsOf(value: unknown): Group[] {
  const found = new Map<string, Group>();
  for (const { name, symbols } of objects(value)) {
    const short = textOf(name).trim().slice(0, MOST_LETTERS);
    if (short && !found.has(short) && found.size < MOST_GROUPS) found.set(short, { name: short, symbols: names(symbols, []) });
  }
  return [...found.values()];
}

/** The single settings store: controls write to it, drawing code subscribes to it. */
export class Settings {
  private choices = parsed(stored(KEY));
  private readonly followers: { names: readonly (keyof Choices)[]; act: (now: Readonly<Choices>) => void }[] = [];

  get now(): Readonly<Choices> {
    return this.choices;
  }

  /** Calls `act` whenever one of the settings changes. */
  on(names: readonly (keyof Choices)[], act: (now: Readonly<Choices>) => void): void {
    this.followers.push({ names, act });
  }

  /** Calls `act` now and whenever one of the settings changes. */
  follow(names: readonly (keyof Choices)[], act: (now: Readonly<Choices>) => void): void {
    this.on(names, act);
    act(this.choices);
  }

  set(changed: Partial<Choices>): void {
    const before = this.choices;
    this.choices = { ...before, ...changed };
    store(KEY, this.text);
    const others = (Object.keys(changed) as (keyof Choices)[]).filter((each) => before[each] !== this.choices[each]);
    for (const { names, act } of this.followers) if (names.some((each) => others.includes(each))) act(this.choices);
  }

  /** Adds a name to a list, or removes it. */
  toggle(list: "favourites" | "hidden" | "indicators", name: string): void {
    this.set({ [list]: toggled(this.choices[list], name) });
  }

  /** Adds a symbol to a group, or removes it. */
  toggleIn(group: string, symbol: string): void {
    this.set({ groups: this.choices.groups.map((each) => (each.name === group ? { ...each, symbols: toggled(each.symbols, symbol) } : each)) });
  }

  /** The settings as JSON, for export. */
  get text(): string {
    return JSON.stringify(this.choices, undefined, 2);
  }

  replace(text: string): void {
    this.set(parsed(text));
  }
}

function toggled(list: readonly string[], name: string): string[] {
  return list.includes(name) ? list.filter((each) => each !== name) : [...list, name];
}
