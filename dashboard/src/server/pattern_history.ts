/** Client of the history API for patterns and their outcomes. */

import { getJson, symbolPath } from "./request";
import type { Pattern } from "../model/messages";

const PAGE_SIZE = 1_000;

/** Fetches the newest patterns before a time, newest first, including retracted ones. */
export async function patterns(symbol: string, timeframe: string, limit: number, before?: number): Promise<Pattern[]> {
  return (await patternPage(symbol, timeframe, limit, undefined, before))?.patterns ?? [];
}

/** Fetches all patterns detected in [from, to), ms since 1970. */
export async function patternsBetween(symbol: string, timeframe: string, from: number, to: number): Promise<Pattern[]> {
  const result: Pattern[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await patternPage(symbol, timeframe, PAGE_SIZE, from, to, cursor);
    result.push(...(page?.patterns ?? []));
    if (!page?.next) return result;
    cursor = page.next;
  }
}

async function patternPage(symbol: string, timeframe: string, limit: number, from?: number, to?: number, cursor?: string) {
  const query = new URLSearchParams({ timeframe, status: "all", limit: String(limit) });
  for (const [name, value] of [["from", from], ["to", to], ["cursor", cursor]] as const)
    if (value !== undefined && value !== Infinity) query.set(name, String(value));
  return getJson<{ patterns: Pattern[]; next: string | null }>(`/api/patterns/${symbolPath(symbol)}?${query}`);
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
  return getJson<Outcomes>(`/api/outcomes/${symbolPath(symbol)}?timeframe=${timeframe}`);
}
