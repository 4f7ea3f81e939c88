/** Age of the displayed data in words, with the server's clock estimated from its pongs. */

import { span } from "./format";

const AMBER_MS = 2_000;
const RED_MS = 10_000;
/** A trade older than this makes its price look old. */
export const STALE_MS = 60_000;
/** For so long a message tells how far behind messages are. */
const HELD_MS = 10_000;

export type Level = "good" | "amber" | "red";

export class Clock {
  private best = Infinity;
  private offset = 0;

  /** A ping left at `sent` and its answer, which said the server's time, came at `came` (all ms). */
  pong(sent: number, came: number, server: number): void {
    const trip = came - sent;
    // The quickest answer says most; the estimate is let go slowly, for clocks drift.
    this.best = Math.min(this.best * 1.1 + 1, Infinity);
    if (trip > this.best) return;
    this.best = trip;
    this.offset = server - (sent + came) / 2;
  }

  /** The server's time now, ms since 1970. */
  get now(): number {
    return Date.now() + this.offset;
  }
}

/** How far messages of one kind are behind: by the receipt of the newest tick in them. */
export class Lag {
  private newest = 0;
  private age = 0;
  private came = 0;

  take(received: number | null | undefined, now: number): void {
    if (!received || received < this.newest) return;
    [this.newest, this.came] = [received, now];
    this.age = Math.max(0, now - received);
  }

  /** ms from receipt to here; undefined where nothing came of late: a quiet market has no lag. */
  at(now: number): number | undefined {
    return this.newest && now - this.came < HELD_MS ? this.age : undefined;
  }
}

/** The trades that no candle has yet. Times are of receipt, ms. */
export class Pending {
  private since = 0;
  private newest = 0;
  private covered = 0;

  trade(received: number): void {
    this.newest = Math.max(this.newest, received);
    if (received > this.covered) this.since ||= received;
  }

  candle(received: number | null): void {
    this.covered = Math.max(this.covered, received ?? 0);
    if (this.covered >= this.newest) this.since = 0;
    else if (this.since) this.since = Math.max(this.since, this.covered);
  }

  /** For how long the first of them has waited; undefined: there is none. */
  at(now: number): number | undefined {
    return this.since ? Math.max(0, now - this.since) : undefined;
  }
}

export function level(age: number | undefined): Level {
  return age === undefined || age <= AMBER_MS ? "good" : age <= RED_MS ? "amber" : "red";
}

/** `trades 14 s behind, candles 3 min behind`; empty where nothing is worth a word. */
export function words(trades: number | undefined, candles: number | undefined): string {
  return [["trades", trades] as const, ["candles", candles] as const]
    .filter(([, age]) => level(age) !== "good")
    .map(([what, age]) => `${what} ${span(age!)} behind`)
    .join(", ");
}

/** `trades 40 ms, candles 110 ms`: ages of the displayed data; empty without recent messages. */
export function ages(trades: number | undefined, candles: number | undefined): string {
  return [["trades", trades] as const, ["candles", candles] as const]
    .flatMap(([what, age]) => (age === undefined ? [] : [`${what} ${age < 2_000 ? `${Math.round(age)} ms` : span(age)}`]))
    .join(", ");
}

/** How long ago, in words: `now`, `40 s ago`, `2 min ago`. */
export function ago(ms: number): string {
  return ms < 1_500 ? "now" : `${span(ms)} ago`;
}
