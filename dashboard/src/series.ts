/** The series that is shown, one symbol in one timeframe: read from history, followed live, drawn. */

import { CandleStore, LENGTH_MS, type Candle } from "./candles";
import type { Chart } from "./chart";
import { notice } from "./elements";
import { decimals } from "./format";
import * as history from "./history";
import { DELTA, type Values } from "./indicators";
import type { LiveCandle, Pattern } from "./live";
import type { Market } from "./market";
import { startOf } from "./marks";
import type { PatternList } from "./pattern_list";
import { PatternPages } from "./pattern_pages";
import { stepFor } from "./profile";

const PAGE = 500;
const PATTERNS = 200;
const AGAIN_MS = 2_000;
/** The view stands still for so long before patterns of it are asked for. */
const VIEW_MS = 200;
const MOST_PAGES = 25;
/** The indicators of a candle that grows are read so often, and of so many candles. */
const VALUES_EACH_MS = 2_000;
const VALUES = 3;
const MOST_VALUES = 10_000;

/** `isLive`: whether what happens now is shown, and no replay. */
export interface Shown {
  chart: Chart;
  patterns: PatternList;
  market: Market;
  isLive(): boolean;
  touch(): void;
  /** The view stands still. */
  onView(): void;
}

export class Series {
  symbol = "";
  timeframe = "1m";
  store = new CandleStore();
  /** Whether history knows nothing of the symbol. */
  unknown = false;
  private older: "more" | "loading" | "all" = "more";
  private loading = 0;
  private viewing: number | undefined;
  private values = new Map<number, Values>();
  private valuing: number | undefined;
  private pages = this.patternPages();

  constructor(private readonly shown: Shown) {}

  get length(): number {
    return LENGTH_MS[this.timeframe] ?? 60_000;
  }

  /** Those of the feed; a replay has its own busts in it. */
  get channels(): string[] {
    return this.symbol ? [...this.replayed, `busts:${this.symbol}`] : [];
  }

  get replayed(): string[] {
    return [`candles:${this.timeframe}:${this.symbol}`, `patterns:${this.symbol}`];
  }

  choose(symbol: string, timeframe: string): void {
    [this.symbol, this.timeframe] = [symbol, timeframe];
    this.forget();
  }

  /** Begin anew with nothing. */
  forget(): void {
    this.store = new CandleStore();
    this.values = new Map();
    this.pages = this.patternPages();
    this.older = "more";
    this.shown.patterns.clear();
    this.shown.touch();
  }

  /**
   * Take what history has; it and live messages are merged by their revisions.
   *
   * The feed sends what changes after it has answered `subscribed`. What changed before is in history
   * alone, so history is read after that answer too: nothing falls between the two.
   */
  async load(): Promise<void> {
    await this.read(undefined, AGAIN_MS);
    if (this.unknown) notice(`No symbol ${this.symbol}: nothing of it was ever seen. It is shown as soon as it trades.`);
  }

  /** Take what history had before a time, ms since 1970. */
  async loadBefore(from: number): Promise<void> {
    await this.read(from);
  }

  private async read(before?: number, againMs?: number): Promise<void> {
    const mine = ++this.loading;
    const { symbol, timeframe, length } = this;
    const candlesBefore = before === undefined ? undefined : Math.floor(before / length) * length;
    try {
      const [found, seen] = await Promise.all([
        history.candles(symbol, timeframe, PAGE, candlesBefore),
        history.patterns(symbol, timeframe, PATTERNS, before),
      ]);
      if (mine !== this.loading || (before === undefined) !== this.shown.isLive()) return;
      this.unknown = found === undefined;
      this.take(found ?? [], seen);
      notice();
      void this.readValues();
      if (before === undefined) void this.judge();
    } catch (error) {
      if (mine !== this.loading) return;
      notice(`History is away${againMs ? ", tried again" : ""}: ${error instanceof Error ? error.message : error}`);
      if (againMs) window.setTimeout(() => { if (mine === this.loading) void this.load(); }, againMs);
    }
    this.draw();
  }

  /** Read what followed the patterns of this series. */
  private async judge(): Promise<void> {
    const mine = this.store;
    const found = await history.outcomes(this.symbol, this.timeframe).catch(() => undefined);
    if (mine === this.store) this.shown.patterns.judge(found);
  }

  private take(found: Candle[], seen: Pattern[]): void {
    for (const each of found) this.store.take(each);
    this.shown.patterns.take(...seen);
    const oldest = Math.min(...seen.map(({ timestamp }) => timestamp));
    this.pages.known(seen.length < PATTERNS ? 0 : oldest + 1); // the page may end between two of one time
    if (found.length < PAGE) this.older = "all";
  }

  /** Take a candle of the feed or of a replay, and draw what it changes. */
  follow(candle: LiveCandle): void {
    if (candle.symbol !== this.symbol || candle.timeframe !== this.timeframe) return;
    const { chart, market, patterns } = this.shown;
    const began = this.store.size;
    const did = this.store.take(candle);
    if (did === "ignored" || !chart.shows(this.store)) return; // still loading: it is drawn with the rest
    const isNew = this.store.size > began;
    if ((did === "older" && isNew) || !chart.follows(candle, this.timeframe) || chart.decimals < market.get(this.symbol).decimals) this.draw();
    else chart.update(candle, did === "newest");
    if (did === "corrected") chart.mark(patterns.all);
    if (isNew) chart.drawLines();
    if (isNew && chart.profile.on) this.viewed();
    this.valuing ??= window.setTimeout(() => {
      this.valuing = undefined;
      void this.readValues(VALUES);
    }, VALUES_EACH_MS);
  }

  /** Read what the chosen indicators say of the last `count` candles; in a replay of those that are over. */
  async readValues(count = this.store.size): Promise<void> {
    const { chart, isLive } = this.shown;
    const names = chart.indicators.filter((each) => each !== DELTA);
    const mine = this.store;
    const last = mine.last;
    if (!last) return;
    if (names.length) {
      const limit = Math.min(count, MOST_VALUES);
      try {
        const found = await history.values(this.symbol, this.timeframe, names, limit, isLive() ? undefined : last.t);
        if (mine !== this.store) return;
        for (const { t, indicators } of found) this.values.set(t, { ...this.values.get(t), ...indicators });
      } catch (error) {
        return notice(`No indicators: ${error instanceof Error ? error.message : error}`);
      }
    }
    chart.values = this.values;
    chart.drawLines();
  }

  followPattern(pattern: Pattern): void {
    if (pattern.symbol !== this.symbol || pattern.timeframe !== this.timeframe) return;
    if (this.shown.patterns.take(pattern)) this.shown.chart.mark(this.shown.patterns.all);
  }

  private patternPages(): PatternPages {
    const { symbol, timeframe } = this;
    return new PatternPages((from, to) => history.patternsBetween(symbol, timeframe, from, to));
  }

  /** Another part of time is seen: list and mark the patterns of it. */
  viewed(): void {
    window.clearTimeout(this.viewing);
    this.viewing = window.setTimeout(() => {
      void this.patternsInView();
      void this.profileInView().catch(() => undefined); // asked for again with the next view
      this.shown.onView();
    }, VIEW_MS);
  }

  private async profileInView(): Promise<void> {
    const { chart, isLive } = this.shown;
    const view = chart.view;
    const step = view && chart.profile.on && isLive() ? stepFor(...chart.extent) : 0;
    if (!view || !step) return chart.profile.show([], 0);
    const mine = this.store;
    const levels = await history.profile(this.symbol, view.from, view.to + this.length, step);
    if (mine === this.store && chart.profile.on) chart.profile.show(levels, step);
  }

  private async patternsInView(): Promise<void> {
    const { chart, patterns } = this.shown;
    const view = chart.view;
    if (!view) return;
    patterns.view(view.from, view.to + this.length);
    const mine = this.store;
    try {
      const found = await this.pages.upTo(view.from);
      if (mine === this.store && patterns.take(...found)) chart.mark(patterns.all);
    } catch {
      this.viewing = window.setTimeout(() => void this.patternsInView(), AGAIN_MS);
    }
  }

  async loadOlder(): Promise<void> {
    const mine = this.store;
    const first = mine.first;
    if (this.older !== "more" || !first) return;
    this.older = "loading";
    try {
      const found = (await history.candles(this.symbol, this.timeframe, PAGE, first.t)) ?? [];
      if (mine !== this.store) return;
      for (const each of found) mine.take(each);
      this.older = found.length < PAGE ? "all" : "more";
      if (found.length) this.draw();
      void this.readValues();
    } catch {
      this.older = "more";
    }
  }

  /** Show a span of time that ends with the newest candle, loaded as far as there is history. */
  async showSpan(ms: number): Promise<void> {
    if (await this.loadFrom(({ t }) => t - ms)) this.shown.chart.span(ms);
  }

  /** Show the time in [from, to), ms since 1970, as far as it can be loaded. */
  async showTime(from: number, to: number): Promise<void> {
    if (await this.loadFrom(() => from)) this.shown.chart.seeTime(from, to);
  }

  /** Load older candles until a time that depends on the newest; false: another series is shown. */
  private async loadFrom(time: (newest: Candle) => number): Promise<boolean> {
    const mine = this.store;
    for (let pages = 0; pages < MOST_PAGES && this.older !== "all" && mine === this.store; pages += 1) {
      const { first, last } = mine;
      if (!first || !last || first.t <= time(last)) break;
      await this.loadOlder();
      if (this.older === "loading") await new Promise((done) => setTimeout(done, 50));
    }
    return mine === this.store;
  }

  /** The patterns that begin at a candle. */
  patternsAt(t: number): Pattern[] {
    return this.shown.chart.chosen().filter((each) => startOf(each) === t);
  }

  draw(): void {
    const { chart, market, patterns, touch } = this.shown;
    touch();
    const instrument = market.get(this.symbol);
    instrument.decimals = this.store.all().slice(-50).reduce((most, c) => Math.max(most, decimals(c.c), decimals(c.h)), instrument.decimals);
    patterns.finest(instrument.decimals);
    chart.show(this.store, patterns.all, instrument.decimals, this.timeframe);
  }
}
