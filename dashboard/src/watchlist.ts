/** Loads the symbol list: last prices of all symbols, overviews and live trades of the visible ones. */

import type { Cards } from "./cards";
import { notice } from "./elements";
import * as quotes from "./quotes";
import type { Live } from "./live";
import type { Instrument, Market } from "./market";
import { Refused } from "./request";

const EACH_MS = 5_000;
const ALL_EACH_MS = 60_000;
/** Delay after the last scroll before visible rows are loaded. */
const SCROLLED_MS = 100;

/** `chosen` is the selected symbol; `isLive` returns whether live data of it is shown and not a replay. */
export interface Around {
  market: Market;
  /** Whether the sort order needs the overviews of all symbols. */
  needsAll(): boolean;
  live: Live;
  /** Session for the change since the open. */
  session(): string;
  chosen(): string;
  isLive(): boolean;
  touch(): void;
  /** Receives the feed states of all symbols. */
  onFeeds(states: string[]): void;
  onRead(): void;
}

export class Watchlist {
  visible: string[] = [];
  private readAll = 0;
  private scrolled: number | undefined;

  constructor(private readonly cards: () => Cards, private readonly around: Around) {}

  /** Subscribes to the trades of the visible cards only. */
  watch(next: string[]): void {
    const { live, chosen, touch } = this.around;
    touch();
    const gone = this.visible.filter((each) => each !== chosen() && !next.includes(each));
    this.visible = next;
    if (gone.length) live.unsubscribe(...gone.map((each) => `ticks:${each}`));
    live.subscribe(...next.map((each) => `ticks:${each}`));
    window.clearTimeout(this.scrolled);
    const unread = next.filter((each) => !this.around.market.get(each).isRead);
    if (unread.length) this.scrolled = window.setTimeout(() => void this.glance(unread).catch(() => undefined), SCROLLED_MS);
  }

  /** Subscribes to the selected symbol's trades, and unsubscribes from the previous one's if its card is not visible. */
  follow(symbol: string, before: string): void {
    this.around.live.subscribe(`ticks:${symbol}`);
    if (before && before !== symbol && !this.visible.includes(before)) this.around.live.unsubscribe(`ticks:${before}`);
  }

  /** Starts polling. */
  async start(): Promise<void> {
    await this.read();
    window.setTimeout(() => void this.start(), EACH_MS);
  }

  /** Loads the overviews of visible rows in one request and, every minute, the last trades of all symbols, since there may be new ones. */
  async read(): Promise<void> {
    const { market, chosen, needsAll, touch, onFeeds, onRead } = this.around;
    try {
      if (!this.readAll || !market.symbols.length || Date.now() - this.readAll > ALL_EACH_MS) {
        this.readAll = Date.now();
        if (needsAll()) market.overview(this.shown(await quotes.overview("all", this.around.session())));
        else market.latest(this.shown(await quotes.latestOfAll()));
      }
      market.resort();
      this.cards().lay();
      await this.glance([...new Set([...this.visible, chosen()])].filter(Boolean));
      const feeds = (await quotes.feeds()).flatMap(({ symbols }) => symbols);
      onFeeds(feeds.map(({ state }) => state));
      for (const { instrument, state } of feeds) {
        const known: Instrument = market.get(instrument);
        [known.feed, known.changed] = [state, true];
      }
      touch();
      onRead();
    } catch (error) {
      if (error instanceof Refused) notice(`No list: ${error.message}`);
      this.readAll = 0; // the connection state shows the problem; retried with the next poll
    }
  }

  /** Reloads after a change of the sort order. */
  async reorder(): Promise<void> {
    this.readAll = 0;
    await this.read();
  }

  private async glance(symbols: string[]): Promise<void> {
    if (!symbols.length) return;
    this.around.market.overview(this.shown(await quotes.overview(symbols, this.around.session())));
    this.around.touch();
  }

  /** Filters out live data of the selected symbol during a replay. */
  private shown<T extends { symbol: string }>(found: T[]): T[] {
    return this.around.isLive() ? found : found.filter(({ symbol }) => symbol !== this.around.chosen());
  }
}
