/** Store of information bars for one symbol and bar type: pages of history plus the live newest bar. */

import type { Candle, Change, Stored } from "./candles";

/** Offset in ms between bars that start in the same millisecond, so that each has a unique time. */
const STEP_MS = 1 / 1024;

export class BarStore implements Stored {
  readonly corrected = new Set<number>();
  /** Whether bars other than the newest have changed, so that the newest page must be reloaded. */
  isStale = false;
  /** Cursor of the previous page; null if there is none. */
  cursor: string | null | undefined;
  private bars: Candle[] = [];
  private byTime = new Map<number, Candle>();
  /** The newest bar from the live feed, with its number in the day; undefined after each history load. */
  private live: Candle | undefined;

  /** Merges the newest page, in ascending order: it replaces all stored bars from its first bar on. */
  newest(found: Candle[], before: string | null): void {
    const [first] = found;
    this.isStale = false;
    this.live = undefined;
    if (!first) return;
    const older = this.bars.filter(({ t }) => began(t) < first.t);
    const same = (all: Candle[]): Candle[] => all.filter(({ t }) => began(t) === first.t);
    const beside = same(this.bars).slice(0, Math.max(0, same(this.bars).length - same(found).length));
    const isJoined = older.length + beside.length > 0 && this.bars.some(({ t }) => began(t) >= first.t);
    if (!isJoined) this.cursor = before;
    this.place([...(isJoined ? [...older, ...beside] : []), ...found]);
  }

  /** Prepends the page before the first bar, in ascending order. */
  older(found: Candle[], before: string | null): void {
    this.cursor = before;
    this.place([...found, ...this.bars]);
  }

  /** Applies a live bar. One that neither updates the newest bar nor directly follows it makes the store stale. */
  take(bar: Candle): Change {
    const known = this.live;
    if (known && known.day === bar.day && known.number === bar.number && known.revision >= bar.revision) return "ignored";
    const isOlder = known && (bar.day! < known.day! || (bar.day === known.day && bar.number! < known.number!));
    if (isOlder || !bar.n) {
      this.isStale = true;
      return "ignored";
    }
    const isSame = known ? known.day === bar.day && known.number === bar.number : this.grows(bar);
    const isNext = known && (known.day === bar.day ? bar.number === known.number! + 1 : bar.number === 0);
    if (isSame && this.last) {
      this.live = bar;
      this.set(this.bars.length - 1, { ...bar, t: this.last.t });
      return "newest";
    }
    if (isNext && this.last && bar.t >= began(this.last.t)!) {
      this.live = bar;
      this.set(this.bars.length, bar);
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
  private grows(bar: Candle): boolean {
    const [last, before] = [this.last, this.bars.at(-2)];
    return began(last?.t) === bar.t && began(before?.t) !== bar.t && last!.o === bar.o && last!.n <= bar.n;
  }

  private set(n: number, bar: Candle): void {
    const before = this.bars[n - 1];
    const t = before && bar.t <= before.t ? before.t + STEP_MS : bar.t;
    const placed = { ...bar, t };
    this.bars[n] = placed;
    this.byTime.set(t, placed);
  }

  private place(bars: Candle[]): void {
    this.bars = [];
    this.byTime = new Map();
    for (const [n, bar] of bars.entries()) this.set(n, { ...bar, t: began(bar.t)! });
  }
}

/** Returns a bar's start in whole milliseconds, without the offset that makes its time unique. */
export function began(t: number): number;
export function began(t: number | undefined): number | undefined;
export function began(t: number | undefined): number | undefined {
  return t === undefined ? undefined : Math.floor(t);
}
