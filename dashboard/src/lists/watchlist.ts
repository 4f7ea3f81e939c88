/** Loads the symbol list: last prices of all symbols, overviews and live trades of the visible ones. */

import type { Cards } from "./cards";
import { showNotice } from "../browser/elements";
import * as quotes from "../server/quotes";
import type { Live } from "../server/live";
import type { Instrument, Market } from "../model/market";
import { BadRequest } from "../server/request";

const POLL_MS = 5_000;
const POLL_ALL_MS = 60_000;
/** Delay after the last scroll before visible rows are loaded. */
const SCROLL_DELAY_MS = 100;

/** `chosen` is the selected symbol; `isLive` returns whether live data of it is shown and not a replay. */
export interface Dependencies {
  market: Market;
  /** Whether the sort order needs the overviews of all symbols. */
  needsAll(): boolean;
  live: Live;
  /** Session for the change since the open. */
  session(): string;
  selected(): string;
  isLive(): boolean;
  requestDraw(): void;
  /** Receives the feed states of all symbols. */
  onFeeds(states: string[]): void;
  onRead(): void;
}

export class Watchlist {
  visible: string[] = [];
  private allLoadedAt = 0;
  private timer: number | undefined;

  constructor(private readonly cards: () => Cards, private readonly deps: Dependencies) {}

  /** Subscribes to the trades of the visible cards only. */
  watch(next: string[]): void {
    const { live, selected, requestDraw } = this.deps;
    requestDraw();
    const hidden = this.visible.filter((each) => each !== selected() && !next.includes(each));
    this.visible = next;
    if (hidden.length) live.unsubscribe(...hidden.map((each) => `ticks:${each}`));
    live.subscribe(...next.map((each) => `ticks:${each}`));
    window.clearTimeout(this.timer);
    const missing = next.filter((each) => !this.deps.market.get(each).isLoaded);
    if (missing.length) this.timer = window.setTimeout(() => void this.loadOverviews(missing).catch(() => undefined), SCROLL_DELAY_MS);
  }

  /** Subscribes to the selected symbol's trades, and unsubscribes from the previous one's if its card is not visible. */
  select(symbol: string, previous: string): void {
    this.deps.live.subscribe(`ticks:${symbol}`);
    if (previous && previous !== symbol && !this.visible.includes(previous)) this.deps.live.unsubscribe(`ticks:${previous}`);
  }

  /** Starts polling. */
  async start(): Promise<void> {
    await this.poll();
    window.setTimeout(() => void this.start(), POLL_MS);
  }

  /** Loads the overviews of visible rows in one request and, every minute, the last trades of all symbols, since there may be new ones. */
  async poll(): Promise<void> {
    const { market, selected, needsAll, requestDraw, onFeeds, onRead } = this.deps;
    try {
      if (!this.allLoadedAt || !market.symbols.length || Date.now() - this.allLoadedAt > POLL_ALL_MS) {
        this.allLoadedAt = Date.now();
        if (needsAll()) market.applyOverview(this.withoutReplayed(await quotes.fetchOverviews("all", this.deps.session())));
        else market.applyLatest(this.withoutReplayed(await quotes.fetchLastTrades()));
      }
      market.invalidateOrder();
      this.cards().layout();
      await this.loadOverviews([...new Set([...this.visible, selected()])].filter(Boolean));
      const feeds = (await quotes.fetchFeeds()).flatMap(({ symbols }) => symbols);
      onFeeds(feeds.map(({ state }) => state));
      for (const { instrument, state } of feeds) {
        const target: Instrument = market.get(instrument);
        [target.feed, target.changed] = [state, true];
      }
      requestDraw();
      onRead();
    } catch (error) {
      if (error instanceof BadRequest) showNotice(`The symbol list failed to load: ${error.message}`);
      this.allLoadedAt = 0; // the connection state shows the problem; retried with the next poll
    }
  }

  /** Reloads after a change of the sort order. */
  async reload(): Promise<void> {
    this.allLoadedAt = 0;
    await this.poll();
  }

  private async loadOverviews(symbols: string[]): Promise<void> {
    if (!symbols.length) return;
    this.deps.market.applyOverview(this.withoutReplayed(await quotes.fetchOverviews(symbols, this.deps.session())));
    this.deps.requestDraw();
  }

  /** Filters out live data of the selected symbol during a replay. */
  private withoutReplayed<T extends { symbol: string }>(rows: T[]): T[] {
    return this.deps.isLive() ? rows : rows.filter(({ symbol }) => symbol !== this.deps.selected());
  }
}
