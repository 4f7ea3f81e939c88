/** Client of the history API for symbols: last trades, quotes, 24-hour overviews and feeds. */

import { getJson, symbolPath } from "./request";
import type { LastTrade, Overview, Quote } from "../model/messages";

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
export async function fetchQuote(symbol: string): Promise<Quote> {
  return (await getJson<Quote>(`/api/latest/${symbolPath(symbol)}`)) ?? {};
}

/** Fetches the last trade of every symbol. */
export async function fetchLastTrades(): Promise<LastTrade[]> {
  return (await getJson<LastTrade[]>("/api/latest")) ?? [];
}

/** Fetches 24-hour overviews. `session` selects the open: `XNYS`, `17:00@America/New_York` or a time zone; empty is the UTC day. */
export async function fetchOverviews(symbols: string[] | "all", session: string): Promise<Overview[]> {
  const query = new URLSearchParams(symbols === "all" ? { symbols } : symbols.map((each) => ["symbol", each]));
  if (session) query.set(session.includes(":") ? "session" : session.includes("/") ? "tz" : "calendar", session);
  return (await getJson<Overview[]>(`/api/overview?${query}`)) ?? [];
}

/** Fetches the feeds; empty if no exchange is connected. */
export async function fetchFeeds(): Promise<Feed[]> {
  return (await getJson<Feed[]>("/api/feeds")) ?? [];
}
