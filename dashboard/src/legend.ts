/** The line over the chart: the candle under the pointer, or the newest. */

import type { Candle } from "./candles";
import { at, part } from "./elements";
import { axisNumber, change, price, short, stamp, time } from "./format";
import type { Flag } from "./flags";
import type { Pattern } from "./live";
import { label } from "./marks";

const NAMED = 3;

export interface Value {
  name: string;
  color: string;
  value: number;
}

/** `found`: the marked patterns that begin at the candle; `digits`: decimals of its prices. */
export function legend(candle: Candle | undefined, digits: number, flags: Flag[], found: Pattern[], values: Value[]): void {
  if (!candle) return at("legend").replaceChildren();
  const rising = Number(candle.c) >= Number(candle.o);
  at("legend").replaceChildren(
    part("", candle.end === undefined ? stamp(candle.t).slice(0, 16) : `${stamp(candle.t)} – ${time(candle.end)}`),
    ...flags.map(({ word }) => part("flag", word)),
    part(rising ? "up" : "down", change(Number(candle.c), Number(candle.o))),
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => part("", n, price(v, digits))),
    part("", "Vol", short(Number(candle.v))),
    part("more", "VWAP", candle.vw === null ? "–" : axisNumber(Number(candle.vw), digits)),
    part("more", "Trades", String(candle.n)),
    ...values.map(({ name, color, value }) => {
      const made = part("indicator", name, axisNumber(value, Math.max(digits, 2)));
      made.style.setProperty("--hue", `var(${color})`);
      return made;
    }),
    ...found.slice(0, NAMED).map((each) => part(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each))),
  );
}
