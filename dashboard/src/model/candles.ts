/** Candle store for one symbol and timeframe: history and live updates, merged by highest revision. */

/** A candle as sent by the history API and the live feed. Prices and sizes are decimal strings. */
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
  /** Information bars only: time of the last trade (ms) and, from the live feed, trading day and number in it. */
  end?: number;
  day?: number;
  number?: number;
}

/** The effect of a candle on the store. */
export type Change = "ignored" | "newest" | "older" | "corrected";

/** A series that the chart can draw: candles or information bars. */
export interface SeriesStore {
  readonly corrected: ReadonlySet<number>;
  apply(candle: Candle): Change;
  /** Returns all candles, oldest first. */
  all(): Candle[];
  get(t: number): Candle | undefined;
  readonly first: Candle | undefined;
  readonly last: Candle | undefined;
  readonly size: number;
}

export class CandleStore implements SeriesStore {
  private readonly byTime = new Map<number, Candle>();
  private order: number[] = [];
  /** Start times of candles that changed after they had closed. */
  readonly corrected = new Set<number>();

  /** Merges a candle from history or the live feed; the highest revision wins. */
  apply(candle: Candle): Change {
    const previous = this.byTime.get(candle.t);
    if (previous !== undefined && previous.revision >= candle.revision) return "ignored";
    this.byTime.set(candle.t, candle);
    const last = this.order[this.order.length - 1];
    if (previous === undefined) {
      if (last === undefined || candle.t > last) {
        this.order.push(candle.t);
        return "newest";
      }
      this.order.push(candle.t);
      this.order.sort((a, b) => a - b);
      return "older";
    }
    if (previous.closed && differs(previous, candle)) {
      this.corrected.add(candle.t);
      return "corrected";
    }
    return candle.t === last ? "newest" : "older";
  }

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

function differs(a: Candle, b: Candle): boolean {
  return (["o", "h", "l", "c", "v"] as const).some((name) => a[name] !== b[name]);
}
