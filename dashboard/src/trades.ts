/** Feeds the tape of the selected symbol from history and live trades. */

import * as history from "./history";
import type { Tick } from "./live";
import type { Tape } from "./tape";
import { ROWS } from "./trade_rows";

const FILLS = 5;
const FIRST_WAIT_MS = 250;

export class Trades {
  private symbol = "";

  /** `isLive` returns whether live data is shown and not a replay. */
  constructor(
    private readonly tape: Tape,
    private readonly isLive: () => boolean,
    private readonly onFilled: () => void,
  ) {}

  /** Switches to another symbol. */
  choose(symbol: string): void {
    this.symbol = symbol;
    this.tape.clear();
    void this.fill();
  }

  take(tick: Tick, late: boolean): void {
    this.tape.add(tick, late);
  }

  /** Handles the last trade of a snapshot, which lacks fields of the tape, by loading it from history. */
  know(tick: Tick): void {
    if (!this.tape.has(tick)) void this.fill(tick);
  }

  /** Loads trades from history. With `upto`, retries until that trade is included, since it may not be stored yet. */
  async fill(upto?: Pick<Tick, "t" | "price">): Promise<void> {
    const mine = this.symbol;
    for (let attempt = 0; attempt < FILLS && mine === this.symbol; attempt += 1) {
      try {
        const found = await history.ticks(mine, ROWS);
        if (mine === this.symbol && this.isLive()) this.tape.fill(found);
        this.onFilled();
      } catch {
        // Retried below.
      }
      if (!upto || this.tape.has(upto)) return;
      await new Promise((done) => setTimeout(done, FIRST_WAIT_MS * 2 ** attempt));
    }
  }
}
