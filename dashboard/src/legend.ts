/** The chart legend: values of the candle under the pointer, or of the newest. */

import type { Candle } from "./candles";
import { at, part } from "./elements";
import { axisNumber, change, price, short, stamp, time } from "./format";
import type { Flag } from "./flags";
import type { Pattern } from "./live";
import { label } from "./marks";

const NAMED = 3;
let shown = "";

/**
 * Displays the legend. `t` is the time under the pointer, `found` the marked patterns that end with
 * the candle, `digits` the decimals of prices.
 */
export function legend(t: number | undefined, candle: Candle | undefined, digits: number, flags: Flag[], found: Pattern[]): void {
  const parts = candle ? values(candle, digits, flags, found) : t === undefined ? [] : [["", stamp(t).slice(0, 16)], ["flag", "no trades"]];
  const key = parts.join("\n");
  if (key === shown) return; // rewriting would cause a layout
  shown = key;
  at("legend").replaceChildren(...parts.map(([kind, name, value]) => part(kind!, name!, value)));
}

/** Returns class, label and value of each part. */
function values(candle: Candle, digits: number, flags: Flag[], found: Pattern[]): string[][] {
  const rising = Number(candle.c) >= Number(candle.o);
  return [
    ["", candle.end === undefined ? stamp(candle.t).slice(0, 16) : `${stamp(candle.t)} – ${time(candle.end)}`],
    ...flags.map(({ word }) => ["flag", word]),
    [rising ? "up" : "down", change(Number(candle.c), Number(candle.o))],
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => ["", n, price(v, digits)]),
    ["", "Vol", short(Number(candle.v))],
    ["more", "VWAP", candle.vw === null ? "–" : axisNumber(Number(candle.vw), digits)],
    ["more", "Trades", String(candle.n)],
    ...found.slice(0, NAMED).map((each) => [each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each)]),
  ];
}
