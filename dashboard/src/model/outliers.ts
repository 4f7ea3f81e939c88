/** Outlier detection: keeps a bad print from flattening the price axis. */

import type { Candle } from "./candles";

/** A price is an outlier beyond this multiple of the spread of closes. */
const MAX_SPREADS = 4;
/** Fraction of closes ignored at either end of the spread. */
const TRIMMED_SHARE = 0.02;
/** Minimum spread in a flat market, as a fraction of its price. */
const MIN_SPREAD = 0.002;
const MIN_CANDLES = 8;

export interface PriceAxis {
  from: number;
  to: number;
  /** Start times of candles with outliers, ms since 1970. */
  outliers: number[];
}

/** Returns the price range without outliers, or undefined if there are none. */
export function priceAxis(candles: Candle[]): PriceAxis | undefined {
  if (candles.length < MIN_CANDLES) return undefined;
  const closes = candles.map(({ c }) => Number(c)).sort((a, b) => a - b);
  const cut = Math.max(1, Math.floor(closes.length * TRIMMED_SHARE));
  const [low, high] = [closes[cut]!, closes[closes.length - 1 - cut]!];
  const room = MAX_SPREADS * Math.max(high - low, MIN_SPREAD * Math.abs(high));
  const [least, most] = [low - room, high + room];
  const outliers = candles.filter(({ l, h }) => Number(l) < least || Number(h) > most).map(({ t }) => t);
  if (!outliers.length) return undefined;
  const within = candles.flatMap(({ o, h, l, c }) => [o, h, l, c].map(Number)).filter((price) => price >= least && price <= most);
  return { from: Math.min(...within), to: Math.max(...within), outliers };
}
