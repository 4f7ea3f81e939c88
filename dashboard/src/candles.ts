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
}

/** How long a candle of each timeframe is, milliseconds. */
export const LENGTH_MS: Record<string, number> = { "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000, "1d": 86_400_000 };

/** What a candle did to the store. */
export type Change = "ignored" | "newest" | "older" | "corrected";

export class CandleStore {
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
