/** The page's address: `#SYMBOL/TIMEFRAME`. */

import { LENGTH_MS } from "./candles";

export const TIMEFRAMES = Object.keys(LENGTH_MS);

export interface Place {
  symbol: string;
  timeframe: string;
}

/** What a hash names; the symbol is empty where it names none. Symbols may hold slashes. */
export function read(hash: string, timeframe: string): Place {
  const [name = "", frame = ""] = hash.replace(/^#/, "").split("/").map(decoded);
  return { symbol: name, timeframe: TIMEFRAMES.includes(frame) ? frame : timeframe };
}

export function written({ symbol, timeframe }: Place): string {
  return `#${encodeURIComponent(symbol)}/${timeframe}`;
}

/** A hash that somebody typed may be no valid encoding: it is taken as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
