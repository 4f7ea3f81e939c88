/** Data for the visible range: its patterns and volume profile. */

import type { SeriesStore } from "../model/candles";
import { endOf, hasPatterns } from "../model/interval";
import * as history from "../server/history";
import * as patternHistory from "../server/pattern_history";
import { PatternPages } from "./pattern_pages";
import { stepFor } from "./profile";
import type { SeriesContext } from "./series";

const RETRY_MS = 2_000;
/** Delay after the last move before data is loaded. */
const SETTLE_MS = 200;
const PAGE_SIZE = 100;

/** The displayed series. */
export interface ViewedSeries {
  readonly symbol: string;
  readonly timeframe: string;
  readonly store: SeriesStore;
}

export class ViewData {
  private timer: number | undefined;
  private pages: PatternPages;

  constructor(private readonly context: SeriesContext, private readonly series: ViewedSeries) {
    this.pages = this.newPages();
  }

  /** Resets when another series is selected. */
  reset(): void {
    this.pages = this.newPages();
  }

  /** Records that all patterns since `from` (ms since 1970) are loaded. */
  setLoaded(from: number): void {
    this.pages.setLoaded(from);
  }

  onMove(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.context.chart.updateMarkers(); // labels may be cut off or fit again
      void this.loadPatterns();
      void this.loadProfile().catch(() => undefined); // retried with the next view
      this.context.onViewChanged();
    }, SETTLE_MS);
  }

  /** Lists older patterns: cached ones first, then those from history. */
  async loadOlder(): Promise<void> {
    const { chart, patterns } = this.context;
    if (patterns.showMore() || !hasPatterns(this.series.timeframe)) return;
    const mine = this.series.store;
    const older = await this.pages.loadBefore((to) => patternHistory.patterns(this.series.symbol, this.series.timeframe, PAGE_SIZE, to), PAGE_SIZE);
    if (mine !== this.series.store) return;
    patterns.merge(...older);
    if (!older.length) patterns.hideOlder();
    patterns.showMore();
    chart.updateMarkers(patterns.all);
  }

  private newPages(): PatternPages {
    const { symbol, timeframe } = this.series;
    return new PatternPages((from, to) => patternHistory.patternsBetween(symbol, timeframe, from, to));
  }

  private async loadProfile(): Promise<void> {
    const { chart, isLive } = this.context;
    const view = chart.view.timeRange;
    const step = view && chart.profile.isOn && isLive() ? stepFor(...chart.priceRange) : 0;
    if (!view || !step) return chart.profile.setLevels([], 0);
    const mine = this.series.store;
    const levels = await history.profile(this.series.symbol, Math.floor(view.from), this.candleEnd(view.to), step);
    if (mine === this.series.store && chart.profile.isOn) chart.profile.setLevels(levels, step);
  }

  /** Returns the end of the candle that starts at `t`, ms since 1970. */
  private candleEnd(t: number): number {
    if (t === Infinity) return t;
    const last = this.series.store.get(t);
    return last?.end === undefined ? (endOf(this.series.timeframe, t) ?? t) : last.end + 1;
  }

  private async loadPatterns(): Promise<void> {
    const { chart, patterns } = this.context;
    const view = chart.view.timeRange;
    if (!view) return;
    patterns.setRange(view.from, this.candleEnd(view.to));
    if (!hasPatterns(this.series.timeframe)) return;
    const mine = this.series.store;
    try {
      const missing = await this.pages.loadFrom(view.from);
      if (mine === this.series.store && patterns.merge(...missing)) chart.updateMarkers(patterns.all);
    } catch {
      this.timer = window.setTimeout(() => void this.loadPatterns(), RETRY_MS);
    }
  }
}
