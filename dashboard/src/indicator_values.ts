/** Values of the selected indicators: loaded from history and refreshed while the newest candle grows. */

import type { Chart } from "./chart";
import type { Candle, Stored } from "./candles";
import { notice } from "./elements";
import * as history from "./history";
import { DELTA, type Values } from "./indicators";

/** How often the growing candle's indicators are refreshed, and for how many candles. */
const EACH_MS = 2_000;
const NEWEST = 3;
const MOST = 10_000;

export interface Valued {
  chart: Chart;
  /** The current series. */
  of(): { symbol: string; timeframe: string; store: Stored };
  isLive(): boolean;
}

export class IndicatorValues {
  private values = new Map<number, Values>();
  private timer: number | undefined;

  constructor(private readonly valued: Valued) {}

  forget(): void {
    this.values = new Map();
  }

  /** Schedules a refresh after the newest candle has changed. */
  grown(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      void this.read(NEWEST);
    }, EACH_MS);
  }

  /** Loads the values of the last `count` candles, by default of all; in a replay of closed candles only. */
  async read(count?: number): Promise<void> {
    const { chart, of, isLive } = this.valued;
    const { symbol, timeframe, store } = of();
    const names = chart.indicators.filter((each) => each !== DELTA);
    if (!store.last) return;
    if (names.length) {
      const limit = Math.min(count === undefined || !this.values.size ? store.size : Math.max(count, NEWEST), MOST);
      try {
        const found = await history.values(symbol, timeframe, names, limit, isLive() ? undefined : store.last.t);
        if (store !== of().store) return;
        for (const [t, values] of aligned(store.all(), found)) this.values.set(t, { ...this.values.get(t), ...values });
      } catch (error) {
        return notice(`No indicators: ${error instanceof Error ? error.message : error}`);
      }
    }
    chart.values = this.values;
    chart.drawLines();
  }
}

/** Pairs values with the unique times of their candles. If several start in one millisecond, both are matched from the end. */
export function aligned(candles: Candle[], found: { t: number; indicators: Values }[]): [number, Values][] {
  const pairs: [number, Values][] = [];
  let n = candles.length - 1;
  for (const { t, indicators } of found.toReversed()) {
    while (n >= 0 && Math.floor(candles[n]!.t) > t) n -= 1;
    if (n >= 0 && Math.floor(candles[n]!.t) === t) pairs.push([candles[n--]!.t, indicators]);
  }
  return pairs;
}
