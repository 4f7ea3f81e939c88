/** The candles of one symbol and timeframe: history and live, merged by highest revision. */

/** A candle as the API and the live feed write it; prices and sizes are decimal texts. */
export interface Candle {
  t: number;
  o: string;
  h: string;
  l: string;
  c: string;
  v: string;
  bv: string;
  sv: string;
  n: number;
  vw: string | null;
  closed: boolean;
  partial: boolean;
  complete: boolean;
  origin?: "trades" | "venue";
  revision: number;
  /** Of a bar: when its last trade was (ms), and from the feed which of its day it is. */
  end?: number;
  day?: number;
  number?: number;
}

/** What a candle did to the store. */
export type Change = "ignored" | "newest" | "older" | "corrected";

/** What the chart draws: candles, or information bars. */
export interface Stored {
  readonly corrected: ReadonlySet<number>;
  take(candle: Candle): Change;
  /** Oldest first. */
  all(): Candle[];
  get(t: number): Candle | undefined;
  readonly first: Candle | undefined;
  readonly last: Candle | undefined;
  readonly size: number;
}

export class CandleStore implements Stored {
  private readonly byTime = new Map<number, Candle>();
  private order: number[] = [];
  /** Candles that had been closed and were changed, by time. */
  readonly corrected = new Set<number>();

  /** Take a candle; the highest revision counts, whichever way it came. */
  take(candle: Candle): Change {
    const known = this.byTime.get(candle.t);
    if (known !== undefined && known.revision >= candle.revision) return "ignored";
    this.byTime.set(candle.t, candle);
    const last = this.order[this.order.length - 1];
    if (known === undefined) {
      if (last === undefined || candle.t > last) {
        this.order.push(candle.t);
        return "newest";
      }
      this.order.push(candle.t);
      this.order.sort((a, b) => a - b);
      return "older";
    }
    if (known.closed && changed(known, candle)) {
      this.corrected.add(candle.t);
      return "corrected";
    }
    return candle.t === last ? "newest" : "older";
  }

  /** All candles, oldest first. */
  all(): Candle[] {
    return this.order.map((t) => this.byTime.get(t)!);
  }

  get(t: number): Candle | undefined {
    return this.byTime.get(t);
  }

  get first(): Candle | undefined {
    const t = this.order[0];
    return t === undefined ? undefined : this.byTime.get(t);
  }

  get last(): Candle | undefined {
    const t = this.order[this.order.length - 1];
    return t === undefined ? undefined : this.byTime.get(t);
  }

  get size(): number {
    return this.order.length;
  }
}

function changed(one: Candle, other: Candle): boolean {
  return (["o", "h", "l", "c", "v"] as const).some((name) => one[name] !== other[name]);
}
