/** Client of the history API for symbols: last trades, quotes, 24-hour overviews and feeds. */

import type { Candle } from "./candles";
import { json, path } from "./request";

export interface Latest {
  bid?: string | null;
  ask?: string | null;
}

/** A symbol's last trade. Times are in ms since 1970. */
export interface Last {
  symbol: string;
  price: string;
  t: number;
  received: number;
}

/** A symbol's last trade and 24-hour overview. */
export interface Overview extends Last {
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

export interface Feed {
  feed: string;
  reconnects: number;
  skew_ms: number | null;
  error: string | null;
  symbols: FeedSymbol[];
}

export interface FeedSymbol {
  instrument: string;
  state: string;
  last_message: number | null;
  trades_per_minute: number;
  history: { done: number; parts: number };
  gaps: { open: number; filled: number; missing: number };
}

/** Fetches the latest quote of a symbol. */
export async function latest(symbol: string): Promise<Latest> {
  return (await json<Latest>(`/api/latest/${path(symbol)}`)) ?? {};
}

/** Fetches the last trade of every symbol. */
export async function latestOfAll(): Promise<Last[]> {
  return (await json<Last[]>("/api/latest")) ?? [];
}

/** Fetches 24-hour overviews. `session` selects the open: `XNYS`, `17:00@America/New_York` or a time zone; empty is the UTC day. */
export async function overview(symbols: string[] | "all", session: string): Promise<Overview[]> {
  const query = new URLSearchParams(symbols === "all" ? { symbols } : symbols.map((each) => ["symbol", each]));
  if (session) query.set(session.includes(":") ? "session" : session.includes("/") ? "tz" : "calendar", session);
  return (await json<Overview[]>(`/api/overview?${query}`)) ?? [];
}

/** Fetches the feeds; empty if no exchange is connected. */
export async function feeds(): Promise<Feed[]> {
  return (await json<Feed[]>("/api/feeds")) ?? [];
}
