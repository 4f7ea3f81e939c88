/** Feeds the tape of the selected symbol from history and live trades. */

import * as history from "../server/history";
import type { Tape } from "./tape";
import { MAX_ROWS } from "../model/trade_rows";
import type { Tick } from "../model/messages";

const ATTEMPTS = 5;
const MIN_BACKOFF_MS = 250;

export class TapeFeed {
  private symbol = "";

  /** `isLive` returns whether live data is shown and not a replay. */
  constructor(
    private readonly tape: Tape,
    private readonly isLive: () => boolean,
    private readonly onFilled: () => void,
  ) {}

  /** Switches to another symbol. */
  select(symbol: string): void {
    this.symbol = symbol;
    this.tape.clear();
    void this.load();
  }

  add(tick: Tick, late: boolean): void {
    this.tape.add(tick, late);
  }

  /** Handles the last trade of a snapshot, which lacks fields of the tape, by loading it from history. */
  addSnapshot(tick: Tick): void {
    if (!this.tape.contains(tick)) void this.load(tick);
  }

  /** Loads trades from history. With `upto`, retries until that trade is included, since it may not be stored yet. */
  async load(upto?: Pick<Tick, "t" | "price">): Promise<void> {
    const mine = this.symbol;
    for (let attempt = 0; attempt < ATTEMPTS && mine === this.symbol; attempt += 1) {
      try {
        const trades = await history.ticks(mine, MAX_ROWS);
        if (mine === this.symbol && this.isLive()) this.tape.merge(trades);
        this.onFilled();
      } catch {
        // Retried below.
      }
      if (!upto || this.tape.contains(upto)) return;
      await new Promise((done) => setTimeout(done, MIN_BACKOFF_MS * 2 ** attempt));
    }
  }
}
