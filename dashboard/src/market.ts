/** What is known of each symbol. The one place that says what its last price is. */

import { decimals } from "./format";
import type { Last, Overview } from "./history";
import type { Tick } from "./live";

/** What the list may show beside price and change. */
export const COLUMNS = ["high", "low", "volume", "spread"] as const;
export type Column = (typeof COLUMNS)[number];

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
  day: Record<Column, string> = { high: "", low: "", volume: "", spread: "" };
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

/** How the list is ordered; `hidden` ones are not in it, `favourites` are first. */
export interface Order {
  sort: "name" | "change" | "last trade" | "volume";
  favourites: readonly string[];
  hidden: readonly string[];
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

  private ordered(): string[] {
    const { sort, favourites, hidden } = this.order();
    const [first, out] = [new Set(favourites), new Set(hidden)];
    const value = (each: string): number => {
      const { t, before, last, day } = this.get(each);
      if (sort === "name") return 0;
      if (sort === "last trade") return -t;
      if (sort === "volume") return -Number(day.volume);
      return before && last ? -(Number(last) / before) : Infinity;
    };
    const ranked = [...this.known.keys()].filter((each) => !out.has(each)).map((name) => ({ name, first: Number(!first.has(name)), value: value(name) }));
    const by = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);
    ranked.sort((a, b) => a.first - b.first || by(a.value, b.value) || (a.name < b.name ? -1 : 1));
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
    for (const { symbol, open, points, high, low, volume, spread } of all) {
      const instrument = this.get(symbol);
      instrument.isRead = true;
      instrument.open = open ?? undefined;
      instrument.points = points.map(Number);
      instrument.day = { high: high ?? "", low: low ?? "", volume: open === null ? "" : volume, spread: spread ?? "" };
      instrument.changed = true;
    }
  }
}
