/** Price axis of the view: an outlier does not flatten the rest. */

import type { Candle } from "./candles";

/** Prices beyond so many times the spread of closes, above or below them, are off the market. */
const SPREADS = 4;
/** Of the closes, this share at either end says nothing of the spread. */
const TRIMMED = 0.02;
/** Minimum spread of a still market, as a fraction of its price. */
const LEAST = 0.002;
const FEWEST = 8;

export interface Axis {
  from: number;
  to: number;
  /** Start of candles that reach beyond it, ms since 1970. */
  beyond: number[];
}

/** The axis of candles, or undefined where none reaches far beyond the others. */
export function axis(candles: Candle[]): Axis | undefined {
  if (candles.length < FEWEST) return undefined;
  const closes = candles.map(({ c }) => Number(c)).sort((a, b) => a - b);
  const cut = Math.max(1, Math.floor(closes.length * TRIMMED));
  const [low, high] = [closes[cut]!, closes[closes.length - 1 - cut]!];
  const room = SPREADS * Math.max(high - low, LEAST * Math.abs(high));
  const [least, most] = [low - room, high + room];
  const beyond = candles.filter(({ l, h }) => Number(l) < least || Number(h) > most).map(({ t }) => t);
  if (!beyond.length) return undefined;
  const within = candles.flatMap(({ o, h, l, c }) => [o, h, l, c].map(Number)).filter((price) => price >= least && price <= most);
  return { from: Math.min(...within), to: Math.max(...within), beyond };
}
