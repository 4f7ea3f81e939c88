/** The chart legend: values of the candle under the pointer, or of the newest. */

import type { Candle } from "../model/candles";
import { byId, createLabel } from "../browser/elements";
import { change, price, compact, dateTime, rounded, time } from "../model/format";
import type { Flag } from "../model/flags";
import type { Pattern } from "../model/messages";
import { patternLabel } from "../model/patterns";

const MAX_PATTERNS = 3;
/** Prices with more decimals need a second line. */
const LONG_DIGITS = 8;
let drawnKey = "";

/**
 * Displays the legend. `t` is the time under the pointer, `found` the marked patterns that end with
 * the candle, `digits` the decimals of prices.
 */
export function drawLegend(t: number | undefined, candle: Candle | undefined, digits: number, flags: Flag[], patterns: Pattern[]): void {
  const parts = candle ? legendParts(candle, digits, flags, patterns) : t === undefined ? [] : [["", dateTime(t).slice(0, 16)], ["flag", "no trades"]];
  const key = parts.join("\n");
  if (key === drawnKey) return; // rewriting would cause a layout
  drawnKey = key;
  byId("legend").classList.toggle("tall", digits > LONG_DIGITS);
  byId("legend").replaceChildren(...parts.map(([kind, name, value]) => createLabel(kind!, name!, value)));
}

/** Returns class, label and value of each part. */
function legendParts(candle: Candle, digits: number, flags: Flag[], patterns: Pattern[]): string[][] {
  const rising = Number(candle.c) >= Number(candle.o);
  return [
    ["", candle.end === undefined ? dateTime(candle.t).slice(0, 16) : `${dateTime(candle.t)} – ${time(candle.end)}`],
    ...flags.map(({ label }) => ["flag", label]),
    [rising ? "up" : "down", change(Number(candle.c), Number(candle.o))],
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => ["", n, price(v, digits)]),
    ["", "Vol", compact(Number(candle.v))],
    ["more", "VWAP", candle.vw === null ? "–" : rounded(candle.vw, digits)],
    ["more", "Trades", String(candle.n)],
    ...patterns.slice(0, MAX_PATTERNS).map((each) => [each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", patternLabel(each)]),
  ];
}
