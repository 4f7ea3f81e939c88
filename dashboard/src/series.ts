/** The displayed series of one symbol and timeframe or bar type: loads history, applies live updates, draws. */

import { BarStore } from "./bar_store";
import { CandleStore, type Candle, type Stored } from "./candles";
import type { Chart } from "./chart";
import { notice } from "./elements";
import { decimals } from "./format";
import { channelOf, hasPatterns, isBars, lengthOf } from "./frame";
import * as history from "./history";
import * as patternHistory from "./pattern_history";
import { Refused } from "./request";
import { IndicatorValues } from "./indicator_values";
import type { LiveCandle, Pattern } from "./live";
import type { Market } from "./market";
import { startOf } from "./marks";
import type { PatternList } from "./pattern_list";
import { Viewed } from "./viewed";

const PAGE = 500;
const PATTERNS = 200;
const AGAIN_MS = 2_000;
/** Delay before stale bars are reloaded: more corrections may follow. */
const STALE_MS = 300;
const MOST_PAGES = 25;

export interface Shown {
  chart: Chart;
  patterns: PatternList;
  market: Market;
  isLive(): boolean;
  touch(): void;
  /** The view has stopped moving. */
  onView(): void;
}

export class Series {
  symbol = "";
  timeframe = "1m";
  store: CandleStore | BarStore = new CandleStore();
  /** Whether the history API does not know the symbol. */
  unknown = false;
  readonly values: IndicatorValues;
  private readonly seen: Viewed;
  private older: "more" | "loading" | "all" = "more";
  private loading = 0;
  private stale: number | undefined;
  /** The store being loaded, and whether to load it once more. */
  private reading: Stored | undefined;
  private again = false;
  /** The store whose outcomes are loaded. */
  private judged: Stored | undefined;

  constructor(private readonly shown: Shown) {
    this.values = new IndicatorValues({ chart: shown.chart, of: () => this, isLive: () => shown.isLive() });
    this.seen = new Viewed(shown, this);
  }

  /** Candle length in ms; 0 if it varies. */
  get length(): number {
    return lengthOf(this.timeframe);
  }

  /** The series' live channels; a replay includes its busts. */
  get channels(): string[] {
    return this.symbol ? [...this.replayed, `busts:${this.symbol}`] : [];
  }

  get replayed(): string[] {
    return [channelOf(this.timeframe, this.symbol), `patterns:${this.symbol}`];
  }

  choose(symbol: string, timeframe: string): void {
    [this.symbol, this.timeframe] = [symbol, timeframe];
    this.forget();
  }

  /** Resets the series. Pending loads are discarded. */
  forget(): void {
    this.loading += 1;
    this.store = isBars(this.timeframe) ? new BarStore() : new CandleStore();
    this.values.forget();
    this.seen.forget();
    this.older = "more";
    this.shown.patterns.clear();
    this.shown.touch();
  }

  /**
   * Loads history, which is merged with live messages by revision.
   *
   * The feed sends changes made after it has answered `subscribed`. Earlier ones are only in history, so
   * history is loaded after that answer too: no change is lost in between.
   */
  async load(): Promise<void> {
    const mine = this.store;
    this.again = this.reading === mine; // the pending load is kept and followed by another
    if (this.again) return;
    this.reading = mine;
    do {
      this.again = false;
      await this.read(undefined, AGAIN_MS);
    } while (this.again && mine === this.store);
    if (this.reading === mine) this.reading = undefined;
    if (this.unknown) notice(`No symbol ${this.symbol}: nothing of it was ever seen. It is shown as soon as it trades.`);
  }

  /** Loads history before a time, ms since 1970. */
  async loadBefore(from: number): Promise<void> {
    await this.read(from);
  }

  private async read(before?: number, againMs?: number): Promise<void> {
    const mine = ++this.loading;
    const { symbol, timeframe } = this;
    const to = before === undefined ? undefined : this.length ? Math.floor(before / this.length) * this.length : before;
    try {
      const [page, found] = await Promise.all([
        this.page(to === undefined ? {} : { to }),
        hasPatterns(timeframe) ? patternHistory.patterns(symbol, timeframe, PATTERNS, before) : [],
      ]);
      if (mine !== this.loading || (before === undefined) !== this.shown.isLive()) return;
      this.unknown = page === undefined;
      const { bars, next } = page ?? { bars: [], next: null };
      const changed = this.take(bars, next);
      if (next === null) this.older = "all";
      this.shown.patterns.take(...found);
      this.seen.known(found.length < PATTERNS ? 0 : Math.min(...found.map(({ timestamp }) => timestamp)) + 1); // the page may split patterns of the same time
      notice();
      void this.values.read(changed);
      if (before === undefined && hasPatterns(timeframe)) void this.judge();
    } catch (error) {
      if (mine !== this.loading) return;
      if (error instanceof Refused) return notice(error.message);
      notice(`History is away${againMs ? ", tried again" : ""}: ${error instanceof Error ? error.message : error}`);
      if (againMs) window.setTimeout(() => { if (mine === this.loading) void this.load(); }, againMs);
    }
    this.draw();
  }

  /** Merges a page. Returns how many of the newest candles changed, or undefined if older ones did. */
  private take(bars: Candle[], next: string | null): number | undefined {
    if (this.store instanceof BarStore) return void this.store.newest(bars, next);
    const changes = bars.map((each) => this.store.take(each)).filter((each) => each !== "ignored");
    return changes.every((each) => each === "newest") ? changes.length : undefined;
  }

  /** Fetches a page of history, oldest first; `next` is null on the earliest page. */
  private async page(before: { cursor?: string; to?: number }): Promise<history.BarsPage | undefined> {
    const { symbol, timeframe } = this;
    if (isBars(timeframe)) return history.bars(symbol, timeframe, PAGE, before);
    const bars = await history.candles(symbol, timeframe, PAGE, before.to);
    return bars && { bars, next: bars.length < PAGE ? null : "" };
  }

  /** Loads the outcomes of patterns, once a series. */
  private async judge(): Promise<void> {
    const mine = this.store;
    if (this.judged === mine) return;
    this.judged = mine;
    const found = await patternHistory.outcomes(this.symbol, this.timeframe).catch(() => void (this.judged = undefined));
    if (mine === this.store) this.shown.patterns.judge(found);
  }

  /** Applies a live or replayed candle and draws the change. */
  follow(candle: LiveCandle): void {
    if (candle.symbol !== this.symbol || candle.timeframe !== this.timeframe) return;
    const { chart, market, patterns } = this.shown;
    const began = this.store.size;
    const did = this.store.take(candle);
    if (this.store instanceof BarStore && this.reading === this.store) this.again = true; // the pending load may be older than this bar
    if (this.store instanceof BarStore && this.store.isStale) this.stale ??= window.setTimeout(() => this.readAgain(), STALE_MS);
    if (did === "ignored" || !chart.shows(this.store)) return; // still loading: drawn with the rest
    const drawn = did === "newest" ? this.store.last! : candle;
    const isNew = this.store.size > began;
    if ((did === "older" && isNew) || !chart.follows(drawn, this.timeframe) || chart.decimals < market.get(this.symbol).decimals) this.draw();
    else chart.update(drawn, did === "newest");
    if (did === "corrected") chart.mark(patterns.all);
    if (isNew) chart.drawLines();
    if (isNew && chart.profile.on) this.viewed();
    this.values.grown();
  }

  private readAgain(): void {
    this.stale = undefined;
    if (this.store instanceof BarStore && this.store.isStale && this.shown.isLive()) void this.load();
  }

  followPattern(pattern: Pattern): void {
    if (pattern.symbol !== this.symbol || pattern.timeframe !== this.timeframe) return;
    if (this.shown.patterns.take(pattern)) this.shown.chart.mark(this.shown.patterns.all);
  }

  /** Handles a change of the visible range. */
  viewed(): void {
    this.seen.moved();
  }

  /** Lists older patterns. */
  async olderPatterns(): Promise<void> {
    await this.seen.older();
  }

  async loadOlder(): Promise<void> {
    const mine = this.store;
    const first = mine.first;
    if (this.older !== "more" || !first) return;
    this.older = "loading";
    try {
      const place = mine instanceof BarStore ? { cursor: mine.cursor! } : { to: first.t };
      const { bars, next } = (await this.page(place)) ?? { bars: [], next: null };
      if (mine !== this.store) return;
      if (mine instanceof BarStore) mine.older(bars, next);
      else for (const each of bars) mine.take(each);
      this.older = next === null ? "all" : "more";
      if (bars.length) this.draw();
      void this.values.read();
    } catch {
      this.older = "more";
    }
  }

  /** Shows a duration (ms) up to the newest candle, as far as history goes. */
  async showSpan(ms: number): Promise<void> {
    if (await this.loadFrom(({ t }) => t - ms)) this.shown.chart.view.span(ms);
  }

  /** Shows [from, to), ms since 1970, as far as history goes. */
  async showTime(from: number, to: number): Promise<void> {
    if (await this.loadFrom(() => from)) this.shown.chart.view.seeTime(from, to);
  }

  /** Loads older candles back to a time computed from the newest. Returns false if another series was selected. */
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

  /** Returns the marked patterns whose last candle starts at a time. */
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
