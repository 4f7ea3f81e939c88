/** Patterns, and what followed them, in the history API. */

import type { Pattern } from "./live";
import { json, path } from "./request";

const PATTERNS_A_PAGE = 1_000;

/** Patterns of a symbol and timeframe, retracted ones too: the newest before a time, newest first. */
export async function patterns(symbol: string, timeframe: string, limit: number, before?: number): Promise<Pattern[]> {
  return (await patternPage(symbol, timeframe, limit, undefined, before))?.patterns ?? [];
}

/** All patterns that became known in [from, to), page after page. */
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

/** What followed a pattern in the symbol's own history. */
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

/** What followed each pattern of a symbol and timeframe. */
export async function outcomes(symbol: string, timeframe: string): Promise<Outcomes | undefined> {
  return json<Outcomes>(`/api/outcomes/${path(symbol)}?timeframe=${timeframe}`);
}
