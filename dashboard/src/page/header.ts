/** The chart header: last price, change, age, quote, feed, and countdown. */

import { byId, setText } from "../browser/elements";
import { change, price, duration } from "../model/format";
import { STALE_MS, ago } from "../model/freshness";
import type { Instrument } from "../model/market";

/** Displays price and change; called once a frame. */
export function paintPrice({ last, decimals, dayAgoPrice }: Instrument): void {
  setText("price", last && price(last, decimals));
  setText("change", dayAgoPrice === undefined || dayAgoPrice <= 0 ? "" : `${change(Number(last), dayAgoPrice)} in 24 h`);
  byId("change").className = `change ${dayAgoPrice !== undefined && Number(last) < dayAgoPrice ? "down" : "up"}`;
}

/** Displays the age of the last trade and the feed's state. `now` is ms since 1970, in a replay its time. */
export function paintAge({ last, t, feed }: Instrument, now: number): void {
  const age = last ? now - t : 0;
  setText("last", last ? `last trade ${ago(age)}` : "");
  for (const id of ["last", "price"]) byId(id).classList.toggle("stale", age > STALE_MS);
  setText("feed", feed && `feed ${feed}`);
  byId("feed").dataset.state = feed;
}

/** Displays the time until a candle closes; empty once it has. Times are in ms. */
export function paintCountdown(end: number | undefined, now: number): void {
  const left = end === undefined ? 0 : end - now;
  setText("countdown", left > 0 ? `closes in ${countdown(left)}` : "");
}

/** Formats a countdown: `4:07`, or `3 h` from an hour on. */
export function countdown(ms: number): string {
  const [minutes, seconds] = [Math.floor(ms / 60_000), Math.floor((ms % 60_000) / 1000)];
  return minutes < 60 ? `${minutes}:${String(seconds).padStart(2, "0")}` : duration(ms);
}

export function paintQuote(bid: string | null | undefined, ask: string | null | undefined, decimals: number): void {
  setText("quote", bid && ask ? `bid ${price(bid, decimals)}  ask ${price(ask, decimals)}` : "");
}
