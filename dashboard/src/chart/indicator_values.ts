/** Values of the selected indicators: loaded from history and refreshed while the newest candle grows. */

import type { Chart } from "./chart";
import type { Candle, SeriesStore } from "../model/candles";
import { showNotice } from "../browser/elements";
import * as history from "../server/history";
import { DELTA, type Values } from "../model/indicators";

/** How often the growing candle's indicators are refreshed, and for how many candles. */
const REFRESH_MS = 2_000;
const REFRESHED = 3;
const MAX_CANDLES = 10_000;

export interface Dependencies {
  chart: Chart;
  /** The current series. */
  current(): { symbol: string; timeframe: string; store: SeriesStore };
  isLive(): boolean;
}

export class IndicatorValues {
  private values = new Map<number, Values>();
  private timer: number | undefined;

  constructor(private readonly deps: Dependencies) {}

  reset(): void {
    this.values = new Map();
  }

  /** Schedules a refresh after the newest candle has changed. */
  scheduleRefresh(): void {
    this.timer ??= window.setTimeout(() => {
      this.timer = undefined;
      void this.load(REFRESHED);
    }, REFRESH_MS);
  }

  /** Loads the values of the last `count` candles, by default of all; in a replay of closed candles only. */
  async load(count?: number): Promise<void> {
    const { chart, current, isLive } = this.deps;
    const { symbol, timeframe, store } = current();
    const names = chart.indicators.filter((each) => each !== DELTA);
    if (!store.last) return;
    if (names.length) {
      const limit = Math.min(count === undefined || !this.values.size ? store.size : Math.max(count, REFRESHED), MAX_CANDLES);
      try {
        const rows = await history.values(symbol, timeframe, names, limit, isLive() ? undefined : store.last.t);
        if (store !== current().store) return;
        for (const [t, values] of matchTimes(store.all(), rows)) this.values.set(t, { ...this.values.get(t), ...values });
      } catch (error) {
        return showNotice(`Indicators failed to load: ${error instanceof Error ? error.message : error}`);
      }
    }
    chart.values = this.values;
    chart.drawLines();
  }
}

/** Pairs values with the unique times of their candles. If several start in one millisecond, both are matched from the end. */
export function matchTimes(candles: Candle[], rows: { t: number; indicators: Values }[]): [number, Values][] {
  const pairs: [number, Values][] = [];
  let n = candles.length - 1;
  for (const { t, indicators } of rows.toReversed()) {
    while (n >= 0 && Math.floor(candles[n]!.t) > t) n -= 1;
    if (n >= 0 && Math.floor(candles[n]!.t) === t) pairs.push([candles[n--]!.t, indicators]);
  }
  return pairs;
}
