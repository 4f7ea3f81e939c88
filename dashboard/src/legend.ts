/** The line over the chart: the candle under the pointer, or the newest. */

import type { Candle } from "./candles";
import { at, part } from "./elements";
import { change, decimal, price, short } from "./format";
import type { Pattern } from "./live";
import { label } from "./marks";

const NAMED = 3;

export interface Value {
  name: string;
  color: string;
  value: number;
}

/** `found`: the marked patterns that begin at the candle; `digits`: decimals of its prices. */
export function legend(candle: Candle | undefined, digits: number, isCorrected: boolean, found: Pattern[], values: Value[]): void {
  if (!candle) return at("legend").replaceChildren();
  const rising = Number(candle.c) >= Number(candle.o);
  const flags = [
    candle.closed ? "" : "open",
    candle.partial ? "partial: began before the first tick" : "",
    candle.complete ? "" : "gap in the feed",
    candle.origin === "venue" ? "the venue's own" : "",
    isCorrected ? "corrected" : "",
  ].filter(Boolean);
  at("legend").replaceChildren(
    part("", new Date(candle.t).toISOString().slice(0, 16).replace("T", " ")),
    part(rising ? "up" : "down", change(Number(candle.c), Number(candle.o))),
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => part("", n, price(v, digits))),
    part("", "Vol", short(Number(candle.v))),
    part("more", "VWAP", candle.vw === null ? "–" : decimal(Number(candle.vw).toFixed(digits))),
    part("more", "Trades", String(candle.n)),
    ...values.map(({ name, color, value }) => {
      const made = part("indicator", name, decimal(value.toFixed(Math.max(digits, 2))));
      made.style.setProperty("--hue", `var(${color})`);
      return made;
    }),
    ...flags.map((each) => part("flag", each)),
    ...found.slice(0, NAMED).map((each) => part(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each))),
  );
}
