/** Store of information bars for one symbol and bar type: pages of history plus the live newest bar. */

import type { Candle, Change, SeriesStore } from "./candles";

/** Offset in ms between bars that start in the same millisecond, so that each has a unique time. */
const STEP_MS = 1 / 1024;

export class BarStore implements SeriesStore {
  readonly corrected = new Set<number>();
  /** Whether bars other than the newest have changed, so that the newest page must be reloaded. */
  isStale = false;
  /** Cursor of the previous page; null if there is none. */
  cursor: string | null | undefined;
  private bars: Candle[] = [];
  private byTime = new Map<number, Candle>();
  /** The newest bar from the live feed, with its number in the day; undefined after each history load. */
  private liveBar: Candle | undefined;

  /** Merges the newest page, in ascending order: it replaces all stored bars from its first bar on. */
  mergeNewest(page: Candle[], cursor: string | null): void {
    const [first] = page;
    this.isStale = false;
    this.liveBar = undefined;
    if (!first) return;
    const older = this.bars.filter(({ t }) => wholeMs(t) < first.t);
    const withSameStart = (all: Candle[]): Candle[] => all.filter(({ t }) => wholeMs(t) === first.t);
    const kept = withSameStart(this.bars).slice(0, Math.max(0, withSameStart(this.bars).length - withSameStart(page).length));
    const isJoined = older.length + kept.length > 0 && this.bars.some(({ t }) => wholeMs(t) >= first.t);
    if (!isJoined) this.cursor = cursor;
    this.replaceAll([...(isJoined ? [...older, ...kept] : []), ...page]);
  }

  /** Prepends the page before the first bar, in ascending order. */
  prepend(page: Candle[], cursor: string | null): void {
    this.cursor = cursor;
    this.replaceAll([...page, ...this.bars]);
  }

  /** Applies a live bar. One that neither updates the newest bar nor directly follows it makes the store stale. */
  apply(bar: Candle): Change {
    const previous = this.liveBar;
    if (previous && previous.day === bar.day && previous.number === bar.number && previous.revision >= bar.revision) return "ignored";
    const isOlder = previous && (bar.day! < previous.day! || (bar.day === previous.day && bar.number! < previous.number!));
    if (isOlder || !bar.n) {
      this.isStale = true;
      return "ignored";
    }
    const isSame = previous ? previous.day === bar.day && previous.number === bar.number : this.updatesLast(bar);
    const isNext = previous && (previous.day === bar.day ? bar.number === previous.number! + 1 : bar.number === 0);
    if (isSame && this.last) {
      this.liveBar = bar;
      this.put(this.bars.length - 1, { ...bar, t: this.last.t });
      return "newest";
    }
    if (isNext && this.last && bar.t >= wholeMs(this.last.t)!) {
      this.liveBar = bar;
      this.put(this.bars.length, bar);
      return "newest";
    }
    this.isStale = true; // bars may be missing in between
    return "ignored";
  }

  all(): Candle[] {
    return this.bars;
  }

  get(t: number): Candle | undefined {
    return this.byTime.get(t);
  }

  get first(): Candle | undefined {
    return this.bars[0];
  }

  get last(): Candle | undefined {
    return this.bars.at(-1);
  }

  get size(): number {
    return this.bars.length;
  }

  /** Whether a live bar is a later state of the newest bar from history, which has no number. */
  private updatesLast(bar: Candle): boolean {
    const [last, previous] = [this.last, this.bars.at(-2)];
    return wholeMs(last?.t) === bar.t && wholeMs(previous?.t) !== bar.t && last!.o === bar.o && last!.n <= bar.n;
  }

  private put(n: number, bar: Candle): void {
    const previous = this.bars[n - 1];
    const t = previous && bar.t <= previous.t ? previous.t + STEP_MS : bar.t;
    const placed = { ...bar, t };
    this.bars[n] = placed;
    this.byTime.set(t, placed);
  }

  private replaceAll(bars: Candle[]): void {
    this.bars = [];
    this.byTime = new Map();
    for (const [n, bar] of bars.entries()) this.put(n, { ...bar, t: wholeMs(bar.t)! });
  }
}

/** Returns a bar's start in whole milliseconds, without the offset that makes its time unique. */
export function wholeMs(t: number): number;
export function wholeMs(t: number | undefined): number | undefined;
export function wholeMs(t: number | undefined): number | undefined {
  return t === undefined ? undefined : Math.floor(t);
}
