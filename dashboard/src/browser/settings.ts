/** User settings, stored in the browser and exported as a file. */

import { DIGITS, NUMBERS, type Digits, type Numbers } from "../model/format";
import { TIMEFRAMES, isInterval } from "../model/interval";
import { DELTA, isName } from "../model/indicators";
import { COLUMNS, SORTS, type Column, type Group, type Sort } from "../model/market";
import { save, load } from "./storage";
import { ZONES, type Zone } from "../model/zones";
import { MARK_CHOICES, type MarkChoice, PATTERN_KINDS, type PatternKind } from "../model/patterns";

export const SCALES = ["linear", "log", "percent"] as const;
export const STYLES = ["candles", "heikin-ashi", "line"] as const;
export const TABS = ["tape", "patterns", "alerts"] as const;
export const LAYOUTS = [1, 2, 4] as const;
/** Choices of the minimum confidence of patterns, percent. */
export const MIN_CONFIDENCES = [0, 50, 60, 70, 80, 90] as const;

export type Layout = (typeof LAYOUTS)[number];
export interface PanelState {
  symbol: string;
  timeframe: string;
  indicators: string[];
}
export type Scale = (typeof SCALES)[number];
export type Style = (typeof STYLES)[number];
export type Tab = (typeof TABS)[number];

export interface SettingValues {
  indicators: string[];
  marks: MarkChoice;
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
  panels: PanelState[];
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

export const DEFAULTS: SettingValues = {
  indicators: ["sma:20"],
  marks: "strong",
  kinds: [...PATTERN_KINDS],
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

/** Settings that other tabs of the browser take over at once. The others are those of a tab's view. */
const SHARED = ["favourites", "hidden", "groups", "columns", "frames", "zone", "numbers", "digits", "session"] as const;

const KEY = "kandle.settings";
const MAX_NAMES = 10_000;
const MAX_GROUPS = 100;
const MAX_LENGTH = 60;
export const MAX_FRAMES = 4;
export const MAX_INDICATORS = 16;

/** Parses stored or imported settings. Invalid values become defaults. */
export function parseSettings(text: string | null): SettingValues {
  let given: Partial<Record<keyof SettingValues, unknown>> = {};
  try {
    const read: unknown = JSON.parse(text ?? "{}");
    if (typeof read === "object" && read !== null) given = read;
  } catch {
    // Not valid JSON: use the defaults.
  }
  const groups = parseGroups(given.groups);
  return {
    indicators: parseIndicators(given.indicators, DEFAULTS.indicators),
    marks: oneOf(given.marks, MARK_CHOICES, DEFAULTS.marks),
    kinds: PATTERN_KINDS.filter((each) => stringList(given.kinds, DEFAULTS.kinds).includes(each)),
    least: MIN_CONFIDENCES.find((each) => each === given.least) ?? DEFAULTS.least,
    scale: oneOf(given.scale, SCALES, DEFAULTS.scale),
    style: oneOf(given.style, STYLES, DEFAULTS.style),
    layout: LAYOUTS.find((each) => each === given.layout) ?? DEFAULTS.layout,
    panels: parsePanels(given.panels),
    columns: COLUMNS.filter((each) => stringList(given.columns, []).includes(each)),
    sort: oneOf(given.sort, SORTS, DEFAULTS.sort),
    reversed: given.reversed === true,
    zone: oneOf(given.zone, ZONES, DEFAULTS.zone),
    numbers: oneOf(given.numbers, NUMBERS, DEFAULTS.numbers),
    digits: oneOf(given.digits, DIGITS, DEFAULTS.digits),
    tab: oneOf(given.tab, TABS, DEFAULTS.tab),
    timeframe: isInterval(textOf(given.timeframe)) ? textOf(given.timeframe) : DEFAULTS.timeframe,
    frames: stringList(given.frames, []).filter((each) => isInterval(each) && !isStandard(each)).slice(-MAX_FRAMES),
    symbol: textOf(given.symbol),
    favourites: stringList(given.favourites, []),
    hidden: stringList(given.hidden, []),
    groups,
    group: groups.some(({ name }) => name === given.group) ? textOf(given.group) : "",
    session: textOf(given.session).slice(0, MAX_LENGTH),
  };
}

export function isStandard(frame: string): boolean {
  return TIMEFRAMES.some((each) => each === frame);
}

function oneOf<T extends string>(value: unknown, all: readonly T[], fallback: T): T {
  return all.find((each) => each === value) ?? fallback;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function stringList(value: unknown, fallback: readonly string[]): string[] {
  if (!Array.isArray(value)) return [...fallback];
  return [...new Set(value.filter((each) => typeof each === "string"))].slice(0, MAX_NAMES);
}

function parseIndicators(value: unknown, fallback: readonly string[]): string[] {
  return stringList(value, fallback).filter((each) => each === DELTA || isName(each)).slice(0, MAX_INDICATORS);
}

function objects(value: unknown): Record<string, unknown>[] {
  return (Array.isArray(value) ? value : []).filter((each): each is Record<string, unknown> => typeof each === "object" && each !== null);
}

/** Returns the valid panels. */
function parsePanels(value: unknown): PanelState[] {
  return objects(value)
    .filter(({ symbol, timeframe }) => typeof symbol === "string" && isInterval(textOf(timeframe)))
    .slice(0, LAYOUTS.at(-1)! - 1)
    .map(({ symbol, timeframe, indicators }) => ({ symbol: textOf(symbol), timeframe: textOf(timeframe), indicators: parseIndicators(indicators, []) }));
}

/** Returns the groups with unique names. */
function parseGroups(value: unknown): Group[] {
  const groups = new Map<string, Group>();
  for (const { name, symbols } of objects(value)) {
    const short = textOf(name).trim().slice(0, MAX_LENGTH);
    if (short && !groups.has(short) && groups.size < MAX_GROUPS) groups.set(short, { name: short, symbols: stringList(symbols, []) });
  }
  return [...groups.values()];
}

/** The single settings store: controls write to it, drawing code subscribes to it. */
export class Settings {
  private values = parseSettings(load(KEY));
  private readonly subscribers: { names: readonly (keyof SettingValues)[]; act: (current: Readonly<SettingValues>) => void }[] = [];

  constructor() {
    window.addEventListener("storage", ({ key, newValue }) => { if (key === KEY && newValue) this.adopt(parseSettings(newValue)); });
  }

  get now(): Readonly<SettingValues> {
    return this.values;
  }

  /** Calls `act` whenever one of the settings changes. */
  onChange(names: readonly (keyof SettingValues)[], act: (now: Readonly<SettingValues>) => void): void {
    this.subscribers.push({ names, act });
  }

  /** Calls `act` now and whenever one of the settings changes. */
  subscribe(names: readonly (keyof SettingValues)[], act: (now: Readonly<SettingValues>) => void): void {
    this.onChange(names, act);
    act(this.values);
  }

  /** Changes settings. The others are stored as another tab may have left them. */
  set(changed: Partial<SettingValues>): void {
    save(KEY, JSON.stringify({ ...parseSettings(load(KEY)), ...changed }));
    this.apply(changed);
  }

  /** Takes over the shared settings that another tab changed. */
  private adopt(stored: SettingValues): void {
    const names = SHARED.filter((each) => JSON.stringify(stored[each]) !== JSON.stringify(this.values[each]));
    const isGone = !stored.groups.some(({ name }) => name === this.values.group);
    this.apply({ ...Object.fromEntries(names.map((each) => [each, stored[each]])), ...(isGone && { group: "" }) });
  }

  private apply(changed: Partial<SettingValues>): void {
    const previous = this.values;
    this.values = { ...previous, ...changed };
    const changedNames = (Object.keys(changed) as (keyof SettingValues)[]).filter((each) => previous[each] !== this.values[each]);
    for (const { names, act } of this.subscribers) if (names.some((each) => changedNames.includes(each))) act(this.values);
  }

  /** Adds a name to a list, or removes it. */
  toggle(list: "favourites" | "hidden" | "indicators", name: string): void {
    this.set({ [list]: toggled(this.values[list], name) });
  }

  /** Adds a symbol to a group, or removes it. */
  toggleInGroup(group: string, symbol: string): void {
    this.set({ groups: this.values.groups.map((each) => (each.name === group ? { ...each, symbols: toggled(each.symbols, symbol) } : each)) });
  }

  /** The settings as JSON, for export. */
  get json(): string {
    return JSON.stringify(this.values, undefined, 2);
  }

  replace(text: string): void {
    this.set(parseSettings(text));
  }
}

function toggled(list: readonly string[], name: string): string[] {
  return list.includes(name) ? list.filter((each) => each !== name) : [...list, name];
}
