/** Client of the history API: candles, bars, indicators, trades and volume profiles. */

import type { Candle } from "../model/candles";
import { isBarType } from "../model/interval";
import type { Kind, Values } from "../model/indicators";
import { getJson, symbolPath } from "./request";
import type { Level, Tick } from "../model/messages";

/**
 * Fetches the newest candles, or the newest before a time (ms since 1970), oldest first. Undefined if
 * the symbol is unknown. Throws `BadRequest`.
 */
export async function candles(
  symbol: string,
  timeframe: string,
  limit: number,
  before?: number,
): Promise<Candle[] | undefined> {
  const query = new URLSearchParams({ timeframe, limit: String(limit) });
  if (before !== undefined) query.set("to", String(before));
  const body = await getJson<{ candles: Candle[] }>(`/api/candles/${symbolPath(symbol)}?${query}`);
  return body?.candles;
}

/** A page of information bars, oldest first, and the cursor of the previous page. */
export interface BarsPage {
  bars: Candle[];
  next: string | null;
}

/** Fetches the newest bars, or those before a cursor or a time. Undefined if the symbol is unknown. Throws `BadRequest`. */
export async function bars(symbol: string, type: string, limit: number, before: { cursor?: string; to?: number } = {}): Promise<BarsPage | undefined> {
  const query = new URLSearchParams({ type, limit: String(limit) });
  for (const [name, value] of Object.entries(before)) query.set(name, String(value));
  const body = await getJson<BarsPage>(`/api/bars/${symbolPath(symbol)}?${query}`);
  return body && { ...body, bars: body.bars.map((each) => ({ ...each, partial: false, revision: 0 })) };
}

/** Fetches indicator values of the newest candles or bars, or of the newest before a time. Throws `BadRequest` if a name is invalid. */
export async function values(
  symbol: string,
  timeframe: string,
  indicators: string[],
  limit: number,
  before?: number,
): Promise<{ t: number; indicators: Values }[]> {
  const kind = isBarType(timeframe) ? "bars" : "candles";
  const query = new URLSearchParams({ [kind === "bars" ? "type" : "timeframe"]: timeframe, limit: String(limit), indicators: indicators.join(",") });
  if (before !== undefined) query.set("to", String(before));
  const url = `/api/${kind}/${symbolPath(symbol)}?${query}`;
  const body = await getJson<Record<string, { t: number; indicators: Values }[]>>(url);
  return body?.[kind] ?? [];
}

/** Fetches the available indicators. */
export async function indicators(): Promise<Kind[]> {
  return (await getJson<Kind[]>("/api/indicators")) ?? [];
}

interface StoredTick {
  t: number;
  p: string;
  s: string;
  side: Tick["side"];
  id: string | null;
  received: number;
  flags: string | null;
  ended: number | null;
}

const isCorrection = ({ flags }: StoredTick): boolean => flags?.includes("corrected") ?? false;

/** Fetches the newest trades, or the newest before a time, newest first. */
export async function ticks(symbol: string, limit: number, before?: number): Promise<Tick[]> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (before !== undefined) query.set("to", String(before));
  const rows = (await getJson<{ ticks: StoredTick[] }>(`/api/ticks/${symbolPath(symbol)}?${query}`))?.ticks.reverse() ?? [];
  const corrected = new Set(rows.filter(isCorrection).map(({ id }) => id));
  return rows.map((row) => {
    const { t, p, s, side, id, received, ended } = row;
    const end = !isCorrection(row) && corrected.has(id) ? "corrected" : "cancelled";
    const mark = ended !== null ? end : isCorrection(row) ? "correction" : undefined;
    return { symbol, price: p, size: s, t, side, trade_id: id, received, mark };
  });
}

interface StoredLevel {
  p: string;
  v: string;
  bv: string;
  sv: string;
  ebv: string;
  esv: string;
}

/** Fetches the volume profile of the trades in [from, to), ms since 1970. */
export async function profile(symbol: string, from: number, to: number, step: number): Promise<Level[]> {
  const query = new URLSearchParams({ from: String(from), step: step.toFixed(20).replace(/0+$/, "0") });
  if (to !== Infinity) query.set("to", String(to));
  const body = await getJson<{ levels: StoredLevel[] }>(`/api/profile/${symbolPath(symbol)}?${query}`);
  return (body?.levels ?? []).map(({ p, v, bv, sv, ebv, esv }) => ({
    price: Number(p), volume: Number(v), bought: Number(bv) + Number(ebv), sold: Number(sv) + Number(esv),
  }));
}
