/** The tape of the chosen symbol: what history has, and what comes, each trade once. */

import * as history from "./history";
import type { Tick } from "./live";
import type { Tape } from "./tape";
import { ROWS } from "./trade_rows";

const FILLS = 5;
const FIRST_WAIT_MS = 250;

export class Trades {
  private symbol = "";

  /** `isLive`: whether what happens now is shown, and no replay. */
  constructor(
    private readonly tape: Tape,
    private readonly isLive: () => boolean,
    private readonly onFilled: () => void,
  ) {}

  /** Show another symbol's. */
  choose(symbol: string): void {
    this.symbol = symbol;
    this.tape.clear();
    void this.fill();
  }

  take(tick: Tick, late: boolean): void {
    this.tape.add(tick, late);
  }

  /** A trade of the present, which the feed said in its snapshot without all that a tape shows. */
  know(tick: Tick): void {
    if (!this.tape.has(tick)) void this.fill(tick);
  }

  /** Trades from history, which has each within moments: read until `upto` is among them. */
  async fill(upto?: Pick<Tick, "t" | "price">): Promise<void> {
    const mine = this.symbol;
    for (let attempt = 0; attempt < FILLS && mine === this.symbol; attempt += 1) {
      try {
        const found = await history.ticks(mine, ROWS);
        if (mine === this.symbol && this.isLive()) this.tape.fill(found);
        this.onFilled();
      } catch {
        // Tried again; the next trade is shown all the same.
      }
      if (!upto || this.tape.has(upto)) return;
      await new Promise((done) => setTimeout(done, FIRST_WAIT_MS * 2 ** attempt));
    }
  }
}
