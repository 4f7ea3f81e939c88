/** Data for the visible range: its patterns and volume profile. */

import type { Stored } from "./candles";
import { endOf, hasPatterns } from "./frame";
import * as history from "./history";
import * as patternHistory from "./pattern_history";
import { PatternPages } from "./pattern_pages";
import { stepFor } from "./profile";
import type { Shown } from "./series";

const AGAIN_MS = 2_000;
/** Delay after the last move before data is loaded. */
const STILL_MS = 200;
const PATTERNS = 100;

/** The displayed series. */
export interface Of {
  readonly symbol: string;
  readonly timeframe: string;
  readonly store: Stored;
}

export class Viewed {
  private timer: number | undefined;
  private pages: PatternPages;

  constructor(private readonly shown: Shown, private readonly series: Of) {
    this.pages = this.newPages();
  }

  /** Resets when another series is selected. */
  forget(): void {
    this.pages = this.newPages();
  }

  /** Records that all patterns since `low` (ms since 1970) are loaded. */
  known(low: number): void {
    this.pages.known(low);
  }

  moved(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.shown.chart.mark(); // labels may be cut off or fit again
      void this.patterns();
      void this.profile().catch(() => undefined); // retried with the next view
      this.shown.onView();
    }, STILL_MS);
  }

  /** Lists older patterns: cached ones first, then those from history. */
  async older(): Promise<void> {
    const { chart, patterns } = this.shown;
    if (patterns.more() || !hasPatterns(this.series.timeframe)) return;
    const mine = this.series.store;
    const found = await this.pages.before((to) => patternHistory.patterns(this.series.symbol, this.series.timeframe, PATTERNS, to), PATTERNS);
    if (mine !== this.series.store) return;
    patterns.take(...found);
    if (!found.length) patterns.end();
    patterns.more();
    chart.mark(patterns.all);
  }

  private newPages(): PatternPages {
    const { symbol, timeframe } = this.series;
    return new PatternPages((from, to) => patternHistory.patternsBetween(symbol, timeframe, from, to));
  }

  private async profile(): Promise<void> {
    const { chart, isLive } = this.shown;
    const view = chart.view.time;
    const step = view && chart.profile.on && isLive() ? stepFor(...chart.extent) : 0;
    if (!view || !step) return chart.profile.show([], 0);
    const mine = this.series.store;
    const levels = await history.profile(this.series.symbol, Math.floor(view.from), this.end(view.to), step);
    if (mine === this.series.store && chart.profile.on) chart.profile.show(levels, step);
  }

  /** Returns the end of the candle that starts at `t`, ms since 1970. */
  private end(t: number): number {
    if (t === Infinity) return t;
    const last = this.series.store.get(t);
    return last?.end === undefined ? (endOf(this.series.timeframe, t) ?? t) : last.end + 1;
  }

  private async patterns(): Promise<void> {
    const { chart, patterns } = this.shown;
    const view = chart.view.time;
    if (!view) return;
    patterns.view(view.from, this.end(view.to));
    if (!hasPatterns(this.series.timeframe)) return;
    const mine = this.series.store;
    try {
      const found = await this.pages.upTo(view.from);
      if (mine === this.series.store && patterns.take(...found)) chart.mark(patterns.all);
    } catch {
      this.timer = window.setTimeout(() => void this.patterns(), AGAIN_MS);
    }
  }
}
