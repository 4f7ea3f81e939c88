/** The time axis of a chart: its slots and the visible range. */

import type { IChartApi } from "lightweight-charts";

/** Minimum number of slots in view, so that the few candles of a new market are right-aligned at the usual width. */
const SHORTEST = 60;
const PIXELS_A_CANDLE = 5;
const MOST_FIRST = 150;
const MOST_EMPTY = 30;
/** Slots to the right of the newest candle, as room for its label. */
const MOST_AHEAD = 14;
const [FEWEST_SEEN, MOST_SEEN] = [10, 2_000];

export interface Range {
  from: number;
  to: number;
}

export class TimeView {
  /** Start times of the slots, ms since 1970: candles and empty slots for gaps. */
  places: number[] = [];
  /** A requested range that becomes visible in the next frame. */
  private target: Range | undefined;

  constructor(private readonly chart: IChartApi, private readonly box: HTMLElement, onChange: (range: Range | null) => void) {
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      this.target = undefined;
      onChange(range);
    });
  }

  get newest(): number | undefined {
    return this.places[this.places.length - 1];
  }

  /** Distance between candles in pixels. */
  get spacing(): number {
    return this.chart.timeScale().options().barSpacing;
  }

  /** The visible time range, ms since 1970. It ends at Infinity if the newest candle is visible. */
  get time(): Range | undefined {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const from = this.places[Math.max(0, Math.floor(range?.from ?? 0))];
    if (!range || from === undefined) return undefined;
    const last = Math.ceil(range.to);
    return { from, to: last >= this.places.length - 1 ? Infinity : this.places[Math.max(0, last)]! };
  }

  /** The visible slots. */
  get seen(): number[] {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return range ? this.places.slice(Math.max(0, Math.floor(range.from)), Math.max(0, Math.ceil(range.to))) : [];
  }

  /** Centres a candle. */
  centre(t: number): void {
    const at = this.places.indexOf(t);
    const range = this.range;
    if (at < 0 || !range) return;
    const half = (range.to - range.from) / 2;
    this.see(at - half, at + half);
  }

  /** Scrolls by a fraction of the visible range. */
  move(share: number): void {
    const range = this.range;
    if (!range) return;
    const by = (range.to - range.from) * share;
    this.see(range.from + by, range.to + by);
  }

  /** Zooms by a factor, keeping the right edge. */
  zoom(factor: number): void {
    const range = this.range;
    if (!range) return;
    const count = Math.min(MOST_SEEN, Math.max(FEWEST_SEEN, (range.to - range.from) * factor));
    this.see(range.to - count, range.to);
  }

  /** Scrolls to the newest candles. */
  newestOnes(): void {
    const end = this.places.length;
    const count = Math.min(MOST_FIRST, Math.round(this.box.clientWidth / PIXELS_A_CANDLE));
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(end - count, Math.min(0, end - SHORTEST)), to: end + Math.min(MOST_AHEAD, Math.ceil(count / 10)) });
  }

  /** Shows a duration (ms) that ends with the newest candle. */
  span(ms: number): void {
    const { newest } = this;
    if (newest === undefined) return;
    const first = this.places.findIndex((t) => t > newest - ms);
    this.chart.timeScale().setVisibleLogicalRange({ from: first - 0.5, to: this.places.length + 1 });
  }

  /** Shows the time range [from, to), ms since 1970. */
  seeTime(from: number, to: number): void {
    const first = this.places.findIndex((t) => t >= from);
    const last = this.places.findIndex((t) => t >= to);
    if (first >= 0) this.see(first, last < 0 ? this.places.length : last);
  }

  /** The visible or requested range, so that key presses between two frames add up. */
  private get range(): Range | null {
    return this.target ?? this.chart.timeScale().getVisibleLogicalRange();
  }

  private see(from: number, to: number): void {
    this.target = { from, to };
    this.chart.timeScale().setVisibleLogicalRange(this.target);
  }
}

/** Inserts empty slots where candles of `length` ms are missing, up to a maximum for each gap. */
export function withGaps(times: number[], length: number): number[] {
  if (!length) return times;
  return times.flatMap((t, n) => {
    const before = times[n - 1];
    const missing = before === undefined ? 0 : Math.min(MOST_EMPTY, Math.round((t - before) / length) - 1);
    return [...Array.from({ length: Math.max(0, missing) }, (_, k) => t - (missing - k) * length), t];
  });
}
