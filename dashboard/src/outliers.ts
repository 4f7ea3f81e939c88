/** Outlier detection: keeps a bad print from flattening the price axis. */

import type { Candle } from "./candles";

/** A price is an outlier beyond this multiple of the spread of closes. */
const SPREADS = 4;
/** Fraction of closes ignored at either end of the spread. */
const TRIMMED = 0.02;
/** Minimum spread in a flat market, as a fraction of its price. */
const LEAST = 0.002;
const FEWEST = 8;

export interface Axis {
  from: number;
  to: number;
  /** Start times of candles with outliers, ms since 1970. */
  beyond: number[];
}

/** Returns the price range without outliers, or undefined if there are none. */
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
