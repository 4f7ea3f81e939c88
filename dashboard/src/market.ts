/** State of every symbol. The single source of last prices. */

import { decimals } from "./format";
import type { Last, Overview } from "./quotes";
import type { Tick } from "./live";

/** Optional columns of the list. `session` is the change since the session's open. */
export const COLUMNS = ["session", "high", "low", "volume", "spread"] as const;
export type Column = (typeof COLUMNS)[number];
export const SORTS = ["name", "change", "last trade", "price", ...COLUMNS] as const;
export type Sort = (typeof SORTS)[number];

export class Instrument {
  /** Last price as a decimal string; empty before the first trade. */
  last = "";
  /** Event time and receive time of the last trade, ms since 1970. */
  t = -Infinity;
  received = 0;
  decimals = 0;
  up = true;
  /** Price 24 hours ago, undefined without one, and prices since then. */
  open: string | undefined;
  points: number[] = [];
  /** 24-hour statistics and the latest spread as decimal strings; empty if unknown. */
  day: Record<Exclude<Column, "session">, string> = { high: "", low: "", volume: "", spread: "" };
  /** Price at the open of the current session. */
  sessionOpen: string | undefined;
  feed = "";
  changed = true;
  /** Whether its overview was loaded. */
  isRead = false;

  constructor(readonly symbol: string) {}

  /** Applies a trade. Returns whether it is the latest by event time and so sets the last price. */
  trade(price: string, t: number, received: number, late = false): boolean {
    this.decimals = Math.max(this.decimals, decimals(price));
    this.received = Math.max(this.received, received);
    if (late || t < this.t) return false;
    this.up = Number(price) >= Number(this.last || price);
    [this.last, this.t, this.changed] = [price, t, true];
    return true;
  }

  /** Resets the last trade, before another time is shown. */
  rewind(): void {
    [this.last, this.t, this.received, this.changed] = ["", -Infinity, 0, true];
  }

  /** The price 24 hours ago, or undefined. */
  get before(): number | undefined {
    return this.open === undefined ? undefined : Number(this.open);
  }
}

/** A named list of symbols. */
export interface Group {
  name: string;
  symbols: string[];
}

/** Order and filter of the list. Favourites come first and `hidden` symbols are left out; a group shows its own symbols only. */
export interface Order {
  sort: Sort;
  reversed?: boolean;
  favourites: readonly string[];
  hidden: readonly string[];
  groups?: readonly Group[];
  group?: string;
}

export class Market {
  private readonly known = new Map<string, Instrument>();
  private sorted: string[] | undefined;

  constructor(private readonly order: () => Order = () => ({ sort: "name", favourites: [], hidden: [] })) {}

  /** Discards the cached order. */
  resort(): void {
    this.sorted = undefined;
  }

  get(symbol: string): Instrument {
    let found = this.known.get(symbol);
    if (!found) {
      found = new Instrument(symbol);
      if (!symbol) return found; // no symbol is selected yet
      this.known.set(symbol, found);
      this.sorted = undefined;
    }
    return found;
  }

  has(symbol: string): boolean {
    return this.known.has(symbol);
  }

  get symbols(): string[] {
    return (this.sorted ??= this.ordered());
  }

  /** Returns the symbols that contain a text, listed ones first. */
  found(text: string): string[] {
    const listed = new Set(this.symbols);
    const others = [...this.known.keys()].filter((each) => !listed.has(each)).sort();
    return [...this.symbols, ...others].filter((each) => each.toUpperCase().includes(text));
  }

  private ordered(): string[] {
    const { sort, reversed = false, favourites, hidden, groups = [], group = "" } = this.order();
    const [first, out] = [new Set(favourites), new Set(hidden)];
    const of = groups.find(({ name }) => name === group);
    // Members of a group are listed even before they have traded.
    const names = of ? of.symbols : [...this.known.keys()].filter((each) => !out.has(each));
    const ranked = names.map((name) => ({ name, first: Number(!first.has(name)), value: rank(this.get(name), sort) }));
    const way = reversed ? -1 : 1;
    const by = (a: number, b: number): number => (a === b ? 0 : a === Infinity ? 1 : b === Infinity ? -1 : a < b ? -way : way);
    ranked.sort((a, b) => a.first - b.first || by(a.value, b.value) || (a.name < b.name ? -1 : 1) * (sort === "name" ? way : 1));
    return ranked.map(({ name }) => name);
  }

  tick({ symbol, price, t, received }: Tick, late: boolean): boolean {
    return this.get(symbol).trade(price, t, received, late);
  }

  latest(all: Last[]): void {
    for (const { symbol, price, t, received } of all) this.get(symbol).trade(price, t, received);
  }

  overview(all: Overview[]): void {
    this.latest(all);
    for (const { symbol, open, session_open, points, high, low, volume, spread } of all) {
      const instrument = this.get(symbol);
      instrument.isRead = true;
      instrument.open = open ?? undefined;
      instrument.sessionOpen = session_open ?? undefined;
      instrument.points = points.map(Number);
      instrument.day = { high: high ?? "", low: low ?? "", volume: open === null ? "" : volume, spread: spread ?? "" };
      instrument.changed = true;
    }
  }
}

/** Returns the sort key, largest value first. Infinity means no value and sorts last in either direction. */
function rank({ t, before, sessionOpen, last, day }: Instrument, sort: Sort): number {
  const ratio = (open: number | undefined): number => (open && last ? -(Number(last) / open) : Infinity);
  if (sort === "name") return 0;
  if (sort === "last trade") return -t;
  if (sort === "price") return last ? -Number(last) : Infinity;
  if (sort === "change") return ratio(before);
  if (sort === "session") return ratio(Number(sessionOpen));
  return day[sort] ? -Number(day[sort]) : Infinity;
}
