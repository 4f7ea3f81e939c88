/** Records as the server sends them, over HTTP and WebSocket. Prices and sizes are decimal strings. */

import type { Candle } from "./candles";

export interface Tick {
  symbol: string;
  price: string;
  size: string;
  t: number;
  side: "buy" | "sell" | null;
  trade_id: string | null;
  received: number;
  /** Whether the trade was cancelled or corrected, or is itself a correction. */
  mark?: "cancelled" | "corrected" | "correction" | undefined;
}

/** A cancel or correction of a trade. `t`, `venue` and unchanged fields of a correction are null. */
export interface Bust {
  symbol: string;
  trade_id: string;
  venue: string | null;
  status: "cancelled" | "corrected";
  price: string | null;
  size: string | null;
  t: number | null;
  received: number;
}

export interface LiveCandle extends Candle {
  symbol: string;
  timeframe: string;
}

/** A detected pattern, as in the history API. `timestamp` is the end of its last candle, ms since 1970. */
export interface Pattern {
  id: string;
  symbol: string;
  timeframe: string;
  pattern_type: string;
  kind: string;
  direction: number;
  confidence: number;
  level: string;
  trigger_price: string;
  timestamp: number;
  status: "active" | "retracted";
  revision: number;
}

/**
 * An alert. Comparisons have a `value`, patterns a `trigger_price`; `timeframe` is empty for rules
 * without candles. Times are ms since 1970.
 */
export interface Alert {
  rule_id: string;
  rule: string;
  symbol: string;
  timeframe: string;
  candle_start: number;
  timestamp: number;
  value?: string;
  trigger_price?: string;
  /** Whether its rule was muted. */
  muted?: boolean;
}

export interface Quote {
  bid?: string | null;
  ask?: string | null;
}

/** A symbol's last trade. Times are in ms since 1970. */
export interface LastTrade {
  symbol: string;
  price: string;
  t: number;
  received: number;
}

/** A symbol's last trade and 24-hour overview. */
export interface Overview extends LastTrade {
  size: string;
  open: string | null;
  /** Price at the open of the current session. */
  session_open: string | null;
  high: string | null;
  low: string | null;
  volume: string;
  change: number | null;
  spread: string | null;
  points: string[];
  candle: Candle | null;
}

/** A price level: total volume, and bought and sold volume including estimates. */
export interface Level {
  price: number;
  volume: number;
  bought: number;
  sold: number;
}
