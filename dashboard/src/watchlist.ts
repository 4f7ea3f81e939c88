/** Symbols at a glance: read now and then in one request, and followed live where they are in view. */

import type { Cards } from "./cards";
import * as history from "./history";
import type { Live } from "./live";
import type { Instrument, Market } from "./market";

const EACH_MS = 5_000;
const ALL_EACH_MS = 60_000;

/** `chosen`: the symbol of the chart; `isLive`: whether what happens now is shown of it. */
export interface Around {
  market: Market;
  live: Live;
  chosen(): string;
  isLive(): boolean;
  touch(): void;
  onRead(): void;
}

export class Watchlist {
  visible: string[] = [];
  private readAll = 0;

  constructor(private readonly cards: () => Cards, private readonly around: Around) {}

  /** Subscribe to the trades of the cards in view, and to no others. */
  watch(next: string[]): void {
    const { live, chosen, touch } = this.around;
    touch();
    const gone = this.visible.filter((each) => each !== chosen() && !next.includes(each));
    this.visible = next;
    if (gone.length) live.unsubscribe(...gone.map((each) => `ticks:${each}`));
    live.subscribe(...next.map((each) => `ticks:${each}`));
  }

  /** Follow another symbol's trades; those of the one before only while its card is in view. */
  follow(symbol: string, before: string): void {
    this.around.live.subscribe(`ticks:${symbol}`);
    if (before && before !== symbol && !this.visible.includes(before)) this.around.live.unsubscribe(`ticks:${before}`);
  }

  /** Read again and again. */
  async start(): Promise<void> {
    await this.read();
    window.setTimeout(() => void this.start(), EACH_MS);
  }

  /** One request for all cards in view; now and then for all symbols, for there may be new ones. */
  async read(): Promise<void> {
    const { market, chosen, isLive, touch, onRead } = this.around;
    try {
      const all = !this.readAll || !market.symbols.length || Date.now() - this.readAll > ALL_EACH_MS;
      if (all) this.readAll = Date.now();
      const found = await history.overview(all ? undefined : [...new Set([...this.visible, chosen()])].filter(Boolean));
      market.overview(isLive() ? found : found.filter(({ symbol }) => symbol !== chosen()));
      this.cards().lay();
      touch();
      for (const { instrument, state } of await history.feeds()) {
        const known: Instrument = market.get(instrument);
        [known.feed, known.changed] = [state, true];
      }
      onRead();
    } catch {
      this.readAll = 0; // the connection's state says it already; the next one tries again
    }
  }
}
