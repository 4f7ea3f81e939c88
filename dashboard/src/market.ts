/** What is known of each symbol. The one place that says what its last price is. */

import { decimals } from "./format";
import type { Last, Overview } from "./quotes";
import type { Tick } from "./live";

/** What the list may show beside price and change; `session`: change since the session's open. */
export const COLUMNS = ["session", "high", "low", "volume", "spread"] as const;
export type Column = (typeof COLUMNS)[number];
export const SORTS = ["name", "change", "last trade", "price", ...COLUMNS] as const;
export type Sort = (typeof SORTS)[number];

export class Instrument {
  /** Exact text; empty before the first trade. */
  last = "";
  /** Event time and receipt of the last trade, ms since 1970. */
  t = -Infinity;
  received = 0;
  decimals = 0;
  up = true;
  /** 24 hours ago, and since; undefined where there was no trade. */
  open: string | undefined;
  points: number[] = [];
  /** Of the last 24 hours, exact texts; the spread of the latest quote. Empty where there is none. */
  day: Record<Exclude<Column, "session">, string> = { high: "", low: "", volume: "", spread: "" };
  /** At the open of the session that goes on. */
  sessionOpen: string | undefined;
  feed = "";
  changed = true;
  /** Whether its last 24 hours were read. */
  isRead = false;

  constructor(readonly symbol: string) {}

  /** Take a trade. Only one that is later in time moves the last price; true where it did. */
  trade(price: string, t: number, received: number, late = false): boolean {
    this.decimals = Math.max(this.decimals, decimals(price));
    this.received = Math.max(this.received, received);
    if (late || t < this.t) return false;
    this.up = Number(price) >= Number(this.last || price);
    [this.last, this.t, this.changed] = [price, t, true];
    return true;
  }

  /** Know no trade any more: another time is shown. */
  rewind(): void {
    [this.last, this.t, this.received, this.changed] = ["", -Infinity, 0, true];
  }

  /** Change against 24 hours ago as a ratio, or undefined. */
  get before(): number | undefined {
    return this.open === undefined ? undefined : Number(this.open);
  }
}

/** A named list of symbols. */
export interface Group {
  name: string;
  symbols: string[];
}

/** How the list is ordered; `hidden` ones are not in it, `favourites` are first; of a group its own alone. */
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

  /** Put the list into order again: prices have moved, or another order was chosen. */
  resort(): void {
    this.sorted = undefined;
  }

  get(symbol: string): Instrument {
    let found = this.known.get(symbol);
    if (!found) {
      found = new Instrument(symbol);
      if (!symbol) return found; // none is chosen yet
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

  /** Those that have a text in their names: of the list first, then of all others. */
  found(text: string): string[] {
    const listed = new Set(this.symbols);
    const others = [...this.known.keys()].filter((each) => !listed.has(each)).sort();
    return [...this.symbols, ...others].filter((each) => each.toUpperCase().includes(text));
  }

  private ordered(): string[] {
    const { sort, reversed = false, favourites, hidden, groups = [], group = "" } = this.order();
    const [first, out] = [new Set(favourites), new Set(hidden)];
    const of = groups.find(({ name }) => name === group);
    // A member of a group has its row before it has traded.
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

/** Its place by a sort, the largest first; Infinity: it has none, and is last either way. */
function rank({ t, before, sessionOpen, last, day }: Instrument, sort: Sort): number {
  const ratio = (open: number | undefined): number => (open && last ? -(Number(last) / open) : Infinity);
  if (sort === "name") return 0;
  if (sort === "last trade") return -t;
  if (sort === "price") return last ? -Number(last) : Infinity;
  if (sort === "change") return ratio(before);
  if (sort === "session") return ratio(Number(sessionOpen));
  return day[sort] ? -Number(day[sort]) : Infinity;
}
