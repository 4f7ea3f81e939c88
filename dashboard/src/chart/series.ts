/** The displayed series of one symbol and timeframe or bar type: loads history, applies live updates, draws. */

import { BarStore } from "../model/bar_store";
import { CandleStore, type Candle, type SeriesStore } from "../model/candles";
import type { Chart } from "./chart";
import { showNotice } from "../browser/elements";
import { decimals } from "../model/format";
import { channelOf, hasPatterns, isBarType, lengthOf } from "../model/interval";
import * as history from "../server/history";
import * as patternHistory from "../server/pattern_history";
import { BadRequest } from "../server/request";
import { IndicatorValues } from "./indicator_values";
import type { Market } from "../model/market";
import type { PatternList } from "../lists/pattern_list";
import { ViewData } from "./view_data";
import type { LiveCandle, Pattern } from "../model/messages";
import { lastCandleStart } from "../model/patterns";

const PAGE_SIZE = 500;
const PATTERN_PAGE = 200;
const RETRY_MS = 2_000;
/** How long a chart is loading before the page says why. */
const SLOW_MS = 5_000;
/** Delay before stale bars are reloaded: more corrections may follow. */
const RELOAD_MS = 300;
const MAX_PAGES = 25;

export interface SeriesContext {
  chart: Chart;
  patterns: PatternList;
  market: Market;
  isLive(): boolean;
  requestDraw(): void;
  /** The view has stopped moving. */
  onViewChanged(): void;
}

export class Series {
  symbol = "";
  timeframe = "1m";
  store: CandleStore | BarStore = new CandleStore();
  /** Whether the history API does not know the symbol. */
  isUnknown = false;
  readonly values: IndicatorValues;
  private readonly viewData: ViewData;
  private olderState: "more" | "loading" | "all" = "more";
  private loadId = 0;
  private reloadTimer: number | undefined;
  /** The store being loaded, and whether to load it once more. */
  private loadingStore: SeriesStore | undefined;
  private loadsAgain = false;
  /** The store whose outcomes are loaded. */
  private outcomesFor: SeriesStore | undefined;

  constructor(private readonly context: SeriesContext) {
    this.values = new IndicatorValues({ chart: context.chart, current: () => this, isLive: () => context.isLive() });
    this.viewData = new ViewData(context, this);
  }

  /** Candle length in ms; 0 if it varies. */
  get length(): number {
    return lengthOf(this.timeframe);
  }

  /** The series' live channels; a replay includes its busts. */
  get channels(): string[] {
    return this.symbol ? [...this.replayChannels, `busts:${this.symbol}`] : [];
  }

  /** The channels whose messages history has too. */
  get replayChannels(): string[] {
    return [channelOf(this.timeframe, this.symbol), ...(hasPatterns(this.timeframe) ? [`patterns:${this.symbol}`] : [])];
  }

  select(symbol: string, timeframe: string): void {
    [this.symbol, this.timeframe] = [symbol, timeframe];
    this.reset();
  }

  /** Resets the series. Pending loads are discarded. */
  reset(): void {
    this.loadId += 1;
    this.store = isBarType(this.timeframe) ? new BarStore() : new CandleStore();
    this.values.reset();
    this.viewData.reset();
    this.olderState = "more";
    this.context.chart.showLoading();
    this.context.patterns.clear();
    this.context.requestDraw();
  }

  /**
   * Loads history, which is merged with live messages by revision.
   *
   * The feed sends changes made after it has answered `subscribed`. Earlier ones are only in history, so
   * history is loaded after that answer too: no change is lost in between.
   */
  async load(): Promise<void> {
    const mine = this.store;
    this.loadsAgain = this.loadingStore === mine; // the pending load is kept and followed by another
    if (this.loadsAgain) return;
    this.loadingStore = mine;
    do {
      this.loadsAgain = false;
      await this.loadPage(undefined, RETRY_MS);
    } while (this.loadsAgain && mine === this.store);
    if (this.loadingStore === mine) this.loadingStore = undefined;
    if (this.isUnknown) showNotice(`No symbol ${this.symbol}: it has never traded. It appears with its first trade.`);
  }

  /** Loads history before a time, ms since 1970. */
  async loadBefore(from: number): Promise<void> {
    await this.loadPage(from);
  }

  private async loadPage(before?: number, retryMs?: number): Promise<void> {
    const mine = ++this.loadId;
    const { symbol, timeframe } = this;
    const to = before === undefined ? undefined : this.length ? Math.floor(before / this.length) * this.length : before;
    const slow = window.setTimeout(() => { if (mine === this.loadId) showNotice("Waiting for history: the server is slow to answer."); }, SLOW_MS);
    try {
      const [page, patternPage] = await Promise.all([
        this.fetchPage(to === undefined ? {} : { to }),
        hasPatterns(timeframe) ? patternHistory.patterns(symbol, timeframe, PATTERN_PAGE, before) : [],
      ]);
      if (mine !== this.loadId || (before === undefined) !== this.context.isLive()) return;
      this.isUnknown = page === undefined;
      const { bars, next } = page ?? { bars: [], next: null };
      const changed = this.merge(bars, next);
      if (next === null) this.olderState = "all";
      this.context.patterns.merge(...patternPage);
      this.viewData.setLoaded(patternPage.length < PATTERN_PAGE ? 0 : Math.min(...patternPage.map(({ timestamp }) => timestamp)) + 1); // the page may split patterns of the same time
      showNotice();
      void this.values.load(changed);
      if (before === undefined && hasPatterns(timeframe)) void this.loadOutcomes();
    } catch (error) {
      if (mine !== this.loadId) return;
      if (error instanceof BadRequest) {
        showNotice(error.message);
        return this.draw();
      }
      showNotice(`History is unavailable${retryMs ? ", retrying" : ""}: ${error instanceof Error ? error.message : error}`);
      if (retryMs) window.setTimeout(() => { if (mine === this.loadId) void this.load(); }, retryMs);
    } finally {
      window.clearTimeout(slow);
    }
    this.draw();
  }

  /** Merges a page. Returns how many of the newest candles changed, or undefined if older ones did. */
  private merge(bars: Candle[], next: string | null): number | undefined {
    if (this.store instanceof BarStore) return void this.store.mergeNewest(bars, next);
    const changes = bars.map((each) => this.store.apply(each)).filter((each) => each !== "ignored");
    return changes.every((each) => each === "newest") ? changes.length : undefined;
  }

  /** Fetches a page of history, oldest first; `next` is null on the earliest page. */
  private async fetchPage(before: { cursor?: string; to?: number }): Promise<history.BarsPage | undefined> {
    const { symbol, timeframe } = this;
    if (isBarType(timeframe)) return history.bars(symbol, timeframe, PAGE_SIZE, before);
    const bars = await history.candles(symbol, timeframe, PAGE_SIZE, before.to);
    return bars && { bars, next: bars.length < PAGE_SIZE ? null : "" };
  }

  /** Loads the outcomes of patterns, once a series. */
  private async loadOutcomes(): Promise<void> {
    const mine = this.store;
    if (this.outcomesFor === mine) return;
    this.outcomesFor = mine;
    const outcomes = await patternHistory.outcomes(this.symbol, this.timeframe).catch(() => void (this.outcomesFor = undefined));
    if (mine === this.store) this.context.patterns.setOutcomes(outcomes);
  }

  /** Applies a live or replayed candle and draws the change. */
  applyCandle(candle: LiveCandle): void {
    if (candle.symbol !== this.symbol || candle.timeframe !== this.timeframe) return;
    const { chart, market, patterns } = this.context;
    const sizeBefore = this.store.size;
    const change = this.store.apply(candle);
    if (this.store instanceof BarStore && this.loadingStore === this.store) this.loadsAgain = true; // the pending load may be older than this bar
    if (this.store instanceof BarStore && this.store.isStale) this.reloadTimer ??= window.setTimeout(() => this.reloadStale(), RELOAD_MS);
    if (change === "ignored" || !chart.isShowing(this.store)) return; // still loading: drawn with the rest
    const drawn = change === "newest" ? this.store.last! : candle;
    const isNew = this.store.size > sizeBefore;
    if ((change === "older" && isNew) || !chart.isContiguous(drawn, this.timeframe) || chart.decimals < market.get(this.symbol).decimals) this.draw();
    else chart.update(drawn, change === "newest");
    if (change === "corrected") chart.updateMarkers(patterns.all);
    if (isNew) chart.drawLines();
    if (isNew && chart.profile.isOn) this.onRangeChanged();
    this.values.scheduleRefresh();
  }

  private reloadStale(): void {
    this.reloadTimer = undefined;
    if (this.store instanceof BarStore && this.store.isStale && this.context.isLive()) void this.load();
  }

  applyPattern(pattern: Pattern): void {
    if (pattern.symbol !== this.symbol || pattern.timeframe !== this.timeframe) return;
    if (this.context.patterns.merge(pattern)) this.context.chart.updateMarkers(this.context.patterns.all);
  }

  /** Handles a change of the visible range. */
  onRangeChanged(): void {
    this.viewData.onMove();
  }

  /** Lists older patterns. */
  async loadOlderPatterns(): Promise<void> {
    await this.viewData.loadOlder();
  }

  async loadOlder(): Promise<void> {
    const mine = this.store;
    const first = mine.first;
    if (this.olderState !== "more" || !first) return;
    this.olderState = "loading";
    try {
      const before = mine instanceof BarStore ? { cursor: mine.cursor! } : { to: first.t };
      const { bars, next } = (await this.fetchPage(before)) ?? { bars: [], next: null };
      if (mine !== this.store) return;
      if (mine instanceof BarStore) mine.prepend(bars, next);
      else for (const each of bars) mine.apply(each);
      this.olderState = next === null ? "all" : "more";
      if (bars.length) this.draw();
      void this.values.load();
    } catch {
      this.olderState = "more";
    }
  }

  /** Shows a duration (ms) up to the newest candle, as far as history goes. */
  async showDuration(ms: number): Promise<void> {
    if (await this.loadFrom(({ t }) => t - ms)) this.context.chart.view.showDuration(ms);
  }

  /** Shows [from, to), ms since 1970, as far as history goes. */
  async showRange(from: number, to: number): Promise<void> {
    if (await this.loadFrom(() => from)) this.context.chart.view.showRange(from, to);
  }

  /** Loads older candles back to a time computed from the newest. Returns false if another series was selected. */
  private async loadFrom(time: (newest: Candle) => number): Promise<boolean> {
    const mine = this.store;
    for (let pages = 0; pages < MAX_PAGES && this.olderState !== "all" && mine === this.store; pages += 1) {
      const { first, last } = mine;
      if (!first || !last || first.t <= time(last)) break;
      await this.loadOlder();
      if (this.olderState === "loading") await new Promise((done) => setTimeout(done, 50));
    }
    return mine === this.store;
  }

  /** Returns the marked patterns whose last candle starts at a time. */
  patternsAt(t: number): Pattern[] {
    return this.context.chart.markedPatterns().filter((each) => lastCandleStart(each) === t);
  }

  draw(): void {
    const { chart, market, patterns, requestDraw } = this.context;
    requestDraw();
    const instrument = market.get(this.symbol);
    instrument.decimals = this.store.all().slice(-50).reduce((most, c) => Math.max(most, decimals(c.c), decimals(c.h)), instrument.decimals);
    patterns.setDecimals(instrument.decimals);
    chart.setData(this.store, patterns.all, instrument.decimals, this.timeframe);
  }
}
