/** The line over the chart: the candle under the pointer, or the newest. */

import type { Candle } from "./candles";
import { at, part } from "./elements";
import { axisNumber, change, price, short, stamp, time } from "./format";
import type { Flag } from "./flags";
import type { Pattern } from "./live";
import { label } from "./marks";

const NAMED = 3;

/** `t`: where the pointer is; `found`: the marked patterns that begin at the candle; `digits`: decimals of its prices. */
export function legend(t: number | undefined, candle: Candle | undefined, digits: number, flags: Flag[], found: Pattern[]): void {
  if (!candle) return at("legend").replaceChildren(...(t === undefined ? [] : [part("", stamp(t).slice(0, 16)), part("flag", "no trades")]));
  const rising = Number(candle.c) >= Number(candle.o);
  at("legend").replaceChildren(
    part("", candle.end === undefined ? stamp(candle.t).slice(0, 16) : `${stamp(candle.t)} – ${time(candle.end)}`),
    ...flags.map(({ word }) => part("flag", word)),
    part(rising ? "up" : "down", change(Number(candle.c), Number(candle.o))),
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => part("", n, price(v, digits))),
    part("", "Vol", short(Number(candle.v))),
    part("more", "VWAP", candle.vw === null ? "–" : axisNumber(Number(candle.vw), digits)),
    part("more", "Trades", String(candle.n)),
    ...found.slice(0, NAMED).map((each) => part(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each))),
  );
}
