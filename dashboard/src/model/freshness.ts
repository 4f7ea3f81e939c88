/** Age of the displayed data, measured on the server's clock as estimated from pongs. */

import { duration } from "./format";

const AMBER_MS = 2_000;
const RED_MS = 10_000;
/** Age from which a price is shown as stale. */
export const STALE_MS = 60_000;
/** How long a lag measurement is valid. */
const VALID_MS = 10_000;

export type Level = "good" | "amber" | "red";

export class ServerClock {
  private bestRoundTrip = Infinity;
  private offset = 0;

  /** Updates the estimate with a ping sent at `sent` and answered at `received` with the server's time (all in ms). */
  pong(sent: number, received: number, server: number): void {
    const roundTrip = received - sent;
    // The fastest round trip is the most accurate. The estimate expires slowly, because clocks drift.
    this.bestRoundTrip = Math.min(this.bestRoundTrip * 1.1 + 1, Infinity);
    if (roundTrip > this.bestRoundTrip) return;
    this.bestRoundTrip = roundTrip;
    this.offset = server - (sent + received) / 2;
  }

  /** The server's current time, ms since 1970. */
  get now(): number {
    return Date.now() + this.offset;
  }
}

/** Lag of one kind of message, measured from the receipt of its newest tick. */
export class Lag {
  private newest = 0;
  private lag = 0;
  private addedAt = 0;

  add(received: number | null | undefined, now: number): void {
    if (!received || received < this.newest) return;
    [this.newest, this.addedAt] = [received, now];
    this.lag = Math.max(0, now - received);
  }

  /** Returns the lag in ms from receipt to display; undefined without recent messages, since a quiet market has no lag. */
  ageAt(now: number): number | undefined {
    return this.newest && now - this.addedAt < VALID_MS ? this.lag : undefined;
  }
}

/** Tracks trades that no candle covers yet. Times are receive times in ms. */
export class PendingTrades {
  private since = 0;
  private newest = 0;
  private covered = 0;

  addTrade(received: number): void {
    this.newest = Math.max(this.newest, received);
    if (received > this.covered) this.since ||= received;
  }

  addCandle(received: number | null): void {
    this.covered = Math.max(this.covered, received ?? 0);
    if (this.covered >= this.newest) this.since = 0;
    else if (this.since) this.since = Math.max(this.since, this.covered);
  }

  /** Returns how long in ms the oldest pending trade has waited; undefined if none is pending. */
  ageAt(now: number): number | undefined {
    return this.since ? Math.max(0, now - this.since) : undefined;
  }
}

export function level(age: number | undefined): Level {
  return age === undefined || age <= AMBER_MS ? "good" : age <= RED_MS ? "amber" : "red";
}

/** Describes a significant lag: `trades 14 s behind, candles 3 min behind`. Empty if there is none. */
export function describeLag(trades: number | undefined, candles: number | undefined): string {
  return [["trades", trades] as const, ["candles", candles] as const]
    .filter(([, age]) => level(age) !== "good")
    .map(([what, age]) => `${what} ${duration(age!)} behind`)
    .join(", ");
}

/** Describes the data's age: `trades 40 ms, candles 110 ms`. Empty without recent messages. */
export function describeAges(trades: number | undefined, candles: number | undefined): string {
  return [["trades", trades] as const, ["candles", candles] as const]
    .flatMap(([what, age]) => (age === undefined ? [] : [`${what} ${age < 2_000 ? `${Math.round(age)} ms` : duration(age)}`]))
    .join(", ");
}

/** Formats an age: `now`, `40 s ago`, `2 min ago`. */
export function ago(ms: number): string {
  return ms < 1_500 ? "now" : `${duration(ms)} ago`;
}
