/** The time axis of a chart: its slots and the visible range. */

import type { IChartApi } from "lightweight-charts";

/** Minimum number of slots in view, so that the few candles of a new market are right-aligned at the usual width. */
const MIN_SLOTS = 60;
const CANDLE_PX = 5;
const MAX_INITIAL = 150;
const MAX_EMPTY = 30;
/** Slots to the right of the newest candle, as room for its label. */
const MAX_AHEAD = 14;
const [MIN_VISIBLE, MAX_VISIBLE] = [10, 2_000];

export interface Range {
  from: number;
  to: number;
}

export class TimeView {
  /** Start times of the slots, ms since 1970: candles and empty slots for gaps. */
  slots: number[] = [];
  /** A requested range that becomes visible in the next frame. */
  private requestedRange: Range | undefined;

  constructor(private readonly chart: IChartApi, private readonly box: HTMLElement, onChange: (range: Range | null) => void) {
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      this.requestedRange = undefined;
      onChange(range);
    });
  }

  get newest(): number | undefined {
    return this.slots[this.slots.length - 1];
  }

  /** Distance between candles in pixels. */
  get spacing(): number {
    return this.chart.timeScale().options().barSpacing;
  }

  /** The visible time range, ms since 1970. It ends at Infinity if the newest candle is visible. */
  get timeRange(): Range | undefined {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const from = this.slots[Math.max(0, Math.floor(range?.from ?? 0))];
    if (!range || from === undefined) return undefined;
    const last = Math.ceil(range.to);
    return { from, to: last >= this.slots.length - 1 ? Infinity : this.slots[Math.max(0, last)]! };
  }

  /** The visible slots. */
  get visibleSlots(): number[] {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return range ? this.slots.slice(Math.max(0, Math.floor(range.from)), Math.max(0, Math.ceil(range.to))) : [];
  }

  /** Centres a candle. */
  centre(t: number): void {
    const index = this.slots.indexOf(t);
    const range = this.range;
    if (index < 0 || !range) return;
    const half = (range.to - range.from) / 2;
    this.setRange(index - half, index + half);
  }

  /** Scrolls by a fraction of the visible range. */
  scroll(fraction: number): void {
    const range = this.range;
    if (!range) return;
    const by = (range.to - range.from) * fraction;
    this.setRange(range.from + by, range.to + by);
  }

  /** Zooms by a factor, keeping the right edge. */
  zoom(factor: number): void {
    const range = this.range;
    if (!range) return;
    const count = Math.min(MAX_VISIBLE, Math.max(MIN_VISIBLE, (range.to - range.from) * factor));
    this.setRange(range.to - count, range.to);
  }

  /** Scrolls to the newest candles. */
  showNewest(): void {
    const end = this.slots.length;
    const count = Math.min(MAX_INITIAL, Math.round(this.box.clientWidth / CANDLE_PX));
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(end - count, Math.min(0, end - MIN_SLOTS)), to: end + Math.min(MAX_AHEAD, Math.ceil(count / 10)) });
  }

  /** Shows a duration (ms) that ends with the newest candle. */
  showDuration(ms: number): void {
    const { newest } = this;
    if (newest === undefined) return;
    const first = this.slots.findIndex((t) => t > newest - ms);
    this.chart.timeScale().setVisibleLogicalRange({ from: first - 0.5, to: this.slots.length + 1 });
  }

  /** Shows the time range [from, to), ms since 1970. */
  showRange(from: number, to: number): void {
    const first = this.slots.findIndex((t) => t >= from);
    const last = this.slots.findIndex((t) => t >= to);
    if (first >= 0) this.setRange(first, last < 0 ? this.slots.length : last);
  }

  /** The visible or requested range, so that key presses between two frames add up. */
  private get range(): Range | null {
    return this.requestedRange ?? this.chart.timeScale().getVisibleLogicalRange();
  }

  private setRange(from: number, to: number): void {
    this.requestedRange = { from, to };
    this.chart.timeScale().setVisibleLogicalRange(this.requestedRange);
  }
}

/** Inserts empty slots where candles of `length` ms are missing, up to a maximum for each gap. */
export function withEmptySlots(times: number[], length: number): number[] {
  if (!length) return times;
  return times.flatMap((t, n) => {
    const previous = times[n - 1];
    const missing = previous === undefined ? 0 : Math.min(MAX_EMPTY, Math.round((t - previous) / length) - 1);
    return [...Array.from({ length: Math.max(0, missing) }, (_, k) => t - (missing - k) * length), t];
  });
}
