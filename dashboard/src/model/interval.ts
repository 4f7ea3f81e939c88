/** Chart intervals: a timeframe (`5m`, `1d@XNYS`) or a bar type (`volume:1000`). */

/** Timeframes with a button and a key. */
export const TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d", "1w", "1M"] as const;
export const MEASURES = ["tick", "volume", "dollar", "range"] as const;
export type Measure = (typeof MEASURES)[number];

const UNITS_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const PLAIN = /^([1-9][0-9]{0,3})([smhdw])$/;
const MONTHS: Record<string, number> = { "1M": 1, "3M": 3, "1y": 12 };
const SESSION = /^[\w:+/@-]{1,60}$/;
const BARS = /^(tick|volume|dollar|range):([0-9]{1,24}(?:\.[0-9]{1,24})?)$/;
const UNIT_NAMES: Record<Measure, string> = { tick: "ticks", volume: "volume", dollar: "value", range: "range" };

/** Splits an interval into the part before the `@` and the session after it. */
function split(frame: string): [string, string | undefined] {
  const at = frame.indexOf("@");
  return at < 0 ? [frame, undefined] : [frame.slice(0, at), frame.slice(at + 1)];
}

export function isBarType(frame: string): boolean {
  return BARS.test(split(frame)[0]);
}

/** Whether text is a well-formed interval. Whether it exists is up to the API. */
export function isInterval(frame: string): boolean {
  const [plain, session] = split(frame);
  return (PLAIN.test(plain) || Object.hasOwn(MONTHS, plain) || BARS.test(plain)) && (session === undefined || SESSION.test(session));
}

/** Returns the canonical bar type, as in channel names, without redundant zeros; undefined if the amount is invalid. */
export function canonicalBarType(measure: Measure, amount: string): string | undefined {
  const [whole = "", fraction = ""] = amount.trim().split(".");
  const name = `${measure}:${whole.replace(/^0+(?=\d)/, "")}${fraction.replace(/0+$/, "") && `.${fraction.replace(/0+$/, "")}`}`;
  const isWhole = measure !== "tick" || !name.includes(".");
  return BARS.test(name) && isWhole && Number(name.split(":")[1]) > 0 ? name : undefined;
}

/** Returns the display name: `1000 volume`. */
export function intervalTitle(frame: string): string {
  const [plain, session] = split(frame);
  const match = BARS.exec(plain);
  if (!match) return frame;
  return `${match[2]!} ${UNIT_NAMES[match[1] as Measure]}${session ? ` @${session}` : ""}`;
}

/** Returns the candle length in ms; 0 if it varies. */
export function lengthOf(frame: string): number {
  const match = PLAIN.exec(frame);
  return match ? Number(match[1]) * UNITS_MS[match[2]!]! : 0;
}

/** Minimum and maximum number of candles for a readable chart. */
const [MIN_CANDLES, MAX_CANDLES] = [12, 500];

/**
 * Returns the timeframe for a time range in ms: the current one if the number of candles is readable,
 * otherwise the shortest readable one.
 */
export function intervalFor(ms: number, current: string): string {
  const isReadable = (frame: string): boolean => ms / lengthOf(frame) >= MIN_CANDLES && ms / lengthOf(frame) <= MAX_CANDLES;
  return isBarType(current) || current.includes("@") || isReadable(current) ? current : (TIMEFRAMES.find(isReadable) ?? current);
}

/** Returns the end of the candle that starts at `start`, both in ms since 1970; undefined if unknown. */
export function endOf(frame: string, start: number): number | undefined {
  const length = lengthOf(frame);
  if (length) return start + length;
  const months = MONTHS[frame];
  const day = new Date(start);
  return months && Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + months);
}

/** Whether patterns are detected in the interval, as they are in all stored timeframes. */
export function hasPatterns(frame: string): boolean {
  return PLAIN.test(frame);
}

/** Returns the live feed's channel of a symbol in the interval. */
export function channelOf(frame: string, symbol: string): string {
  return `${isBarType(frame) ? "bars" : "candles"}:${frame}:${symbol}`;
}
