/** Numbers and times as people read them. Exact texts stay texts until they are drawn. */

/** Undefined is the browser's zone. */
let zone: string | undefined = "UTC";
const TIME: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const EXACT: Intl.DateTimeFormatOptions = { ...TIME, fractionalSecondDigits: 3 };
const WHOLE: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit", ...TIME };
let [clock, exact, whole] = formats();

/** Swedish writes dates as ISO 8601 does. */
function formats(): [Intl.DateTimeFormat, Intl.DateTimeFormat, Intl.DateTimeFormat] {
  const of = (parts: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("sv", { ...parts, hour12: false, timeZone: zone });
  return [of(TIME), of(EXACT), of(WHOLE)];
}

/** Write times in a zone by its IANA name; undefined: in the browser's. True where it was another. */
export function writeIn(name: string | undefined): boolean {
  if (name === zone) return false;
  zone = name;
  [clock, exact, whole] = formats();
  return true;
}

/** How numbers are written: what separates thousands, and the fraction. */
export const NUMBERS = ["1,234.5", "1.234,5", "1 234.5", "1 234,5", "1234.5"] as const;
export type Numbers = (typeof NUMBERS)[number];
/** Prices have all the decimals of the market's finest, or none that say nothing. */
export const DIGITS = ["fixed", "trimmed"] as const;
export type Digits = (typeof DIGITS)[number];

let [group, point, trims] = [",", ".", false];

/** True where they were written otherwise. */
export function writeNumbers(numbers: Numbers, digits: Digits): boolean {
  const found = /^1(\D?)234(\D)5$/.exec(numbers)!;
  const before = [group, point, trims].join();
  [group, point, trims] = [found[1] === " " ? "\u202f" : found[1]!, found[2]!, digits === "trimmed"];
  return before !== [group, point, trims].join();
}

/** A decimal text, its thousands separated, its digits as they came. */
export function decimal(text: string): string {
  const [whole = "0", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, group);
  return fraction === undefined ? grouped : `${grouped}${point}${fraction}`;
}

/** A number of the axis or of an indicator, with so many decimals. */
export function axisNumber(value: number, decimals: number): string {
  return decimal(value.toFixed(decimals));
}

/** A decimal text with at least as many decimals as the market's finest price had; trimmed: with none that say nothing. */
export function price(text: string, decimals: number): string {
  const [whole = "0", fraction = ""] = text.split(".");
  if (trims) return decimal([whole, fraction.replace(/0+$/, "")].filter(Boolean).join("."));
  return decimal(decimals > 0 || fraction ? `${whole}.${fraction.padEnd(decimals, "0")}` : whole);
}

/** How many decimals a text has. */
export function decimals(text: string): number {
  return text.split(".")[1]?.length ?? 0;
}

/** `+1.25 %`, or a dash where there is nothing to compare with. */
export function change(now: number, before: number | undefined): string {
  if (before === undefined || before <= 0) return "–";
  const percent = (now / before - 1) * 100;
  return `${percent >= 0 ? "+" : "−"}${Math.abs(percent).toFixed(2).replace(".", point)} %`;
}

/** Time of day. */
export function time(ms: number): string {
  return clock.format(ms);
}

/** Time of day with milliseconds. */
export function moment(ms: number): string {
  return exact.format(ms).replace(",", ".");
}

/** Date and time of day. */
export function stamp(ms: number): string {
  return whole.format(ms);
}

/** A short label: `14:05:07`, `14:05`, `28 Nov`, `Nov 2026`; a day that does not begin then has its time. */
export function dayOrTime(ms: number, unit: "second" | "time" | "day" | "month"): string {
  const text = stamp(ms);
  if (unit === "second") return text.slice(11);
  if (unit === "time" || text.slice(11) !== "00:00:00") return text.slice(11, 16);
  const parts: Intl.DateTimeFormatOptions = unit === "day" ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: zone }).format(ms);
}

/** `12 s`, `3 min`, `5 h`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

/** A large number in short: 1.2 k, 3.4 M. */
export function short(value: number): string {
  return compact.format(value).replace(".", point);
}
