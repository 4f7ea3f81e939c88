/** The history API, as far as the page needs it. */

import type { Candle } from "./candles";
import { isBars } from "./frame";
import type { Kind, Values } from "./indicators";
import type { Alert, Pattern, Tick } from "./live";
import type { Level } from "./profile";
import { headers } from "./token";

const PATTERNS_A_PAGE = 1_000;

export interface Latest {
  bid?: string | null;
  ask?: string | null;
}

/** A symbol's last trade. Times: ms since 1970. */
export interface Last {
  symbol: string;
  price: string;
  t: number;
  received: number;
}

/** A symbol at a glance: its last trade, and its last 24 hours. */
export interface Overview extends Last {
  size: string;
  open: string | null;
  /** At the open of the session that goes on. */
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

/** What was asked for is nothing that there is; the message says why. */
export class Refused extends Error {}

function refuse(detail: string): never {
  throw new Refused(detail.replace(/^(indicators|timeframe|type): /, ""));
}

/** The newest candles, or the newest before a time, oldest first; undefined: no such symbol. Throws Refused. */
export async function candles(
  symbol: string,
  timeframe: string,
  limit: number,
  before?: number,
): Promise<Candle[] | undefined> {
  const query = new URLSearchParams({ timeframe, limit: String(limit) });
  if (before !== undefined) query.set("to", String(before));
  const found = await json<{ candles: Candle[] }>(`/api/candles/${path(symbol)}?${query}`, refuse);
  return found?.candles;
}

/** A page of information bars, oldest first, and the place of the page before it. */
export interface BarsPage {
  bars: Candle[];
  next: string | null;
}

/** The newest bars, or those before a place or a time; undefined: no such symbol. Throws Refused. */
export async function bars(symbol: string, type: string, limit: number, before: { cursor?: string; to?: number } = {}): Promise<BarsPage | undefined> {
  const query = new URLSearchParams({ type, limit: String(limit) });
  for (const [name, value] of Object.entries(before)) query.set(name, String(value));
  const found = await json<BarsPage>(`/api/bars/${path(symbol)}?${query}`, refuse);
  return found && { ...found, bars: found.bars.map((each) => ({ ...each, partial: false, revision: 0 })) };
}

/** What indicators say of the newest candles or bars, or the newest before a time. Throws Refused, with what is wrong with a name. */
export async function values(
  symbol: string,
  timeframe: string,
  indicators: string[],
  limit: number,
  before?: number,
): Promise<{ t: number; indicators: Values }[]> {
  const kind = isBars(timeframe) ? "bars" : "candles";
  const query = new URLSearchParams({ [kind === "bars" ? "type" : "timeframe"]: timeframe, limit: String(limit), indicators: indicators.join(",") });
  if (before !== undefined) query.set("to", String(before));
  const url = `/api/${kind}/${path(symbol)}?${query}`;
  const found = await json<Record<string, { t: number; indicators: Values }[]>>(url, refuse);
  return found?.[kind] ?? [];
}

/** All indicators that there are. */
export async function indicators(): Promise<Kind[]> {
  return (await json<Kind[]>("/api/indicators")) ?? [];
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

/** The newest trades, or the newest before a time, the newest first. */
export async function ticks(symbol: string, limit: number, before?: number): Promise<Tick[]> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (before !== undefined) query.set("to", String(before));
  const rows = (await json<{ ticks: StoredTick[] }>(`/api/ticks/${path(symbol)}?${query}`))?.ticks.reverse() ?? [];
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

/** Volume by steps of price, of the trades in [from, to). */
export async function profile(symbol: string, from: number, to: number, step: number): Promise<Level[]> {
  const query = new URLSearchParams({ from: String(from), step: step.toFixed(20).replace(/0+$/, "0") });
  if (to !== Infinity) query.set("to", String(to));
  const found = await json<{ levels: StoredLevel[] }>(`/api/profile/${path(symbol)}?${query}`);
  return (found?.levels ?? []).map(({ p, v, bv, sv, ebv, esv }) => ({
    price: Number(p), volume: Number(v), bought: Number(bv) + Number(ebv), sold: Number(sv) + Number(esv),
  }));
}

/** The latest quote of a symbol. */
export async function latest(symbol: string): Promise<Latest> {
  return (await json<Latest>(`/api/latest/${path(symbol)}`)) ?? {};
}

/** The last trade of every symbol. */
export async function latestOfAll(): Promise<Last[]> {
  return (await json<Last[]>("/api/latest")) ?? [];
}

/** The last 24 hours of symbols, or of all; `session`: whose open, as `XNYS` or `17:00@America/New_York`. */
export async function overview(symbols: string[] | "all", session: string): Promise<Overview[]> {
  const query = new URLSearchParams(symbols === "all" ? { symbols } : symbols.map((each) => ["symbol", each]));
  if (session) query.set(session.includes(":") ? "session" : session.includes("/") ? "tz" : "calendar", session);
  return (await json<Overview[]>(`/api/overview?${query}`)) ?? [];
}

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

/** A rule of alerts in force. */
export interface AlertRule {
  id: string;
  rule: string;
  alerts: number;
  /** Whether it has a sink. */
  posted: boolean;
  /** Whether its alerts are sent to nobody. */
  muted: boolean;
}

/** What came of a test at one service. */
export interface Tested {
  target: string;
  sent: boolean;
  reason: string | null;
}

const RULES = "/api/alert-rules";

export async function alertRules(): Promise<AlertRule[]> {
  return (await json<AlertRule[]>(RULES)) ?? [];
}

/** Add a rule; returns what should be known of it. Throws why it is none. */
export async function addRule(rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("POST", RULES, { rule }))!.note;
}

/** Put another rule in a rule's place; returns what should be known of it. Throws why it is none. */
export async function changeRule(id: string, rule: string): Promise<string | null> {
  return (await send<{ note: string | null }>("PATCH", `${RULES}?${new URLSearchParams({ id })}`, { rule }))!.note;
}

/** Send a rule's alerts to nobody, or to people again. Throws why it is as it was. */
export async function muteRule(id: string, muted: boolean): Promise<void> {
  await send("PATCH", `${RULES}?${new URLSearchParams({ id })}`, { muted });
}

/** Notify the services of a rule, or all without one, now; returns what came of it at each. */
export async function testRule(rule?: string): Promise<Tested[]> {
  return (await send<{ targets: Tested[] }>("POST", `${RULES}/test`, rule ? { rule } : {}))!.targets;
}

/** Send JSON; returns the answer's, if it has any. Throws the reason of a refusal. */
async function send<T>(method: string, url: string, body: object): Promise<T | undefined> {
  const answer = await fetch(url, { method, headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body) });
  if (answer.status === 204) return undefined;
  const told = (await answer.json().catch(() => ({}))) as T & { detail?: string };
  if (!answer.ok) throw new Error(told.detail ?? `refused: ${answer.status}`);
  return told;
}

/** Take a rule out of force. Throws why it stays. */
export async function removeRule(id: string): Promise<void> {
  const answer = await fetch(`${RULES}?${new URLSearchParams({ id })}`, { method: "DELETE", headers: headers() });
  if (!answer.ok && answer.status !== 404) throw new Error(`the rule is still in force: ${answer.status}`);
}

export interface AlertPage {
  alerts: Alert[];
  /** Where the next page begins; null where there is none. */
  next: string | null;
}

/** A page of alerts of all symbols, the newest first; `rule`: of one rule, by its id. */
export async function alerts(rule?: string, cursor?: string): Promise<AlertPage> {
  const asked = new URLSearchParams({ limit: "100", ...(rule ? { rule } : {}), ...(cursor ? { cursor } : {}) });
  return (await json<AlertPage>(`/api/alerts?${asked}`)) ?? { alerts: [], next: null };
}

/** The feeds and their symbols. None where no exchange is connected. */
export async function feeds(): Promise<Feed[]> {
  return (await json<Feed[]>("/api/feeds")) ?? [];
}

/**
 * The answer, or undefined where there is nothing of the kind. Throws while a store is away.
 * `refused` hears why a request was bad.
 */
export async function json<T>(url: string, refused?: (detail: string) => void): Promise<T | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await fetch(url, { headers: headers() });
    if (answer.ok) return (await answer.json()) as T;
    if (answer.status === 401) throw new Error("this server asks for a token: open the address that `kandle up` printed");
    if (answer.status === 400) refused?.(((await answer.json()) as { detail: string }).detail);
    if (answer.status < 500) return undefined;
    if (attempt === 4) throw new Error(`${url}: ${answer.status}`);
    await new Promise((done) => setTimeout(done, 250 * 2 ** attempt * (0.5 + Math.random() / 2)));
  }
}

function path(symbol: string): string {
  return symbol.split("/").map(encodeURIComponent).join("/");
}
