/** Client of the history API for patterns and their outcomes. */

import type { Pattern } from "./live";
import { json, path } from "./request";

const PATTERNS_A_PAGE = 1_000;

/** Fetches the newest patterns before a time, newest first, including retracted ones. */
export async function patterns(symbol: string, timeframe: string, limit: number, before?: number): Promise<Pattern[]> {
  return (await patternPage(symbol, timeframe, limit, undefined, before))?.patterns ?? [];
}

/** Fetches all patterns detected in [from, to), ms since 1970. */
export async function patternsBetween(symbol: string, timeframe: string, from: number, to: number): Promise<Pattern[]> {
  const found: Pattern[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await patternPage(symbol, timeframe, PATTERNS_A_PAGE, from, to, cursor);
    found.push(...(page?.patterns ?? []));
    if (!page?.next) return found;
    cursor = page.next;
  }
}

async function patternPage(symbol: string, timeframe: string, limit: number, from?: number, to?: number, cursor?: string) {
  const query = new URLSearchParams({ timeframe, status: "all", limit: String(limit) });
  for (const [name, value] of [["from", from], ["to", to], ["cursor", cursor]] as const)
    if (value !== undefined && value !== Infinity) query.set(name, String(value));
  return json<{ patterns: Pattern[]; next: string | null }>(`/api/patterns/${path(symbol)}?${query}`);
}

/** How often a pattern was followed by a move in its direction, for this symbol. */
export interface Outcome {
  pattern_type: string;
  direction: number;
  count: number;
  judged: number;
  hit_rate: number | null;
  base_hit_rate: number | null;
  verdict: string;
}

export interface Outcomes {
  horizon: number;
  outcomes: Outcome[];
}

/** Fetches the outcomes of all patterns of a symbol and timeframe. */
export async function outcomes(symbol: string, timeframe: string): Promise<Outcomes | undefined> {
  return json<Outcomes>(`/api/outcomes/${path(symbol)}?timeframe=${timeframe}`);
}
