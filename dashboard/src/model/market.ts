/** State of every symbol. The single source of last prices. */

import { decimals } from "./format";
import type { LastTrade, Overview, Tick } from "./messages";

/** Optional columns of the list. `session` is the change since the session's open. */
export const COLUMNS = ["session", "high", "low", "volume", "spread"] as const;
export type Column = (typeof COLUMNS)[number];
export const SORTS = ["name", "change", "last trade", "price", ...COLUMNS] as const;
export type Sort = (typeof SORTS)[number];

export class Instrument {
  /** Last price as a decimal string; empty before the first trade. */
  last = "";
  /** Event time of the last trade, ms since 1970. */
  t = -Infinity;
  decimals = 0;
  up = true;
  /** Price 24 hours ago, undefined without one, and prices since then. */
  open: string | undefined;
  points: number[] = [];
  /** 24-hour statistics and the latest spread as decimal strings; empty if unknown. */
  stats: Record<Exclude<Column, "session">, string> = { high: "", low: "", volume: "", spread: "" };
  /** Price at the open of the current session. */
  sessionOpen: string | undefined;
  feed = "";
  changed = true;
  /** Whether its overview was loaded. */
  isLoaded = false;

  constructor(readonly symbol: string) {}

  /** Applies a trade. Returns whether it is the latest by event time and so sets the last price. */
  applyTrade(price: string, t: number, late = false): boolean {
    this.decimals = Math.max(this.decimals, decimals(price));
    if (late || t < this.t) return false;
    this.up = Number(price) >= Number(this.last || price);
    [this.last, this.t, this.changed] = [price, t, true];
    return true;
  }

  /** Resets the last trade, before another time is shown. */
  resetTrade(): void {
    [this.last, this.t, this.changed] = ["", -Infinity, true];
  }

  /** The price 24 hours ago, or undefined. */
  get dayAgoPrice(): number | undefined {
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
  private readonly instruments = new Map<string, Instrument>();
  private sortedSymbols: string[] | undefined;

  constructor(private readonly order: () => Order = () => ({ sort: "name", favourites: [], hidden: [] })) {}

  /** Discards the cached order. */
  invalidateOrder(): void {
    this.sortedSymbols = undefined;
  }

  get(symbol: string): Instrument {
    let instrument = this.instruments.get(symbol);
    if (!instrument) {
      instrument = new Instrument(symbol);
      if (!symbol) return instrument; // no symbol is selected yet
      this.instruments.set(symbol, instrument);
      this.sortedSymbols = undefined;
    }
    return instrument;
  }

  has(symbol: string): boolean {
    return this.instruments.has(symbol);
  }

  get symbols(): string[] {
    return (this.sortedSymbols ??= this.sort());
  }

  /** Returns the symbols that contain a text, listed ones first. */
  search(text: string): string[] {
    const listed = new Set(this.symbols);
    const others = [...this.instruments.keys()].filter((each) => !listed.has(each)).sort();
    return [...this.symbols, ...others].filter((each) => each.toUpperCase().includes(text));
  }

  private sort(): string[] {
    const { sort, reversed = false, favourites, hidden, groups = [], group = "" } = this.order();
    const [favourite, excluded] = [new Set(favourites), new Set(hidden)];
    const current = groups.find(({ name }) => name === group);
    // Members of a group are listed even before they have traded.
    const names = current ? current.symbols : [...this.instruments.keys()].filter((each) => !excluded.has(each));
    const ranked = names.map((name) => ({ name, first: Number(!favourite.has(name)), value: rank(this.get(name), sort) }));
    const sign = reversed ? -1 : 1;
    const compare = (a: number, b: number): number => (a === b ? 0 : a === Infinity ? 1 : b === Infinity ? -1 : a < b ? -sign : sign);
    ranked.sort((a, b) => a.first - b.first || compare(a.value, b.value) || (a.name < b.name ? -1 : 1) * (sort === "name" ? sign : 1));
    return ranked.map(({ name }) => name);
  }

  applyTick({ symbol, price, t }: Tick, late: boolean): boolean {
    return this.get(symbol).applyTrade(price, t, late);
  }

  applyLatest(all: LastTrade[]): void {
    for (const { symbol, price, t } of all) this.get(symbol).applyTrade(price, t);
  }

  applyOverview(all: Overview[]): void {
    this.applyLatest(all);
    for (const { symbol, open, session_open, points, high, low, volume, spread } of all) {
      const instrument = this.get(symbol);
      instrument.isLoaded = true;
      instrument.open = open ?? undefined;
      instrument.sessionOpen = session_open ?? undefined;
      instrument.points = points.map(Number);
      instrument.stats = { high: high ?? "", low: low ?? "", volume: open === null ? "" : volume, spread: spread ?? "" };
      instrument.changed = true;
    }
  }
}

/** Returns the sort key, largest value first. Infinity means no value and sorts last in either direction. */
function rank({ t, dayAgoPrice, sessionOpen, last, stats }: Instrument, sort: Sort): number {
  const ratio = (open: number | undefined): number => (open && open > 0 && last ? -(Number(last) / open) : Infinity);
  if (sort === "name") return 0;
  if (sort === "last trade") return -t;
  if (sort === "price") return last ? -Number(last) : Infinity;
  if (sort === "change") return ratio(dayAgoPrice);
  if (sort === "session") return ratio(Number(sessionOpen));
  return stats[sort] ? -Number(stats[sort]) : Infinity;
}
