/** Numbers and times as people read them. Exact texts stay texts until they are drawn. */

/** Undefined is the browser's zone. */
let zone: string | undefined = "UTC";
let clock = formatOf({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
let exact = formatOf({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
let whole = formatOf({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Swedish writes dates as ISO 8601 does. */
function formatOf(parts: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("sv", { ...parts, hour12: false, timeZone: zone });
}

/** Write times in UTC, or in the browser's zone. */
export function writeIn(chosen: "UTC" | "local"): void {
  zone = chosen === "UTC" ? "UTC" : undefined;
  clock = formatOf({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  exact = formatOf({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
  whole = formatOf({ year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** A decimal text, thousands separated by commas, its digits as they came. */
export function decimal(text: string): string {
  const [whole = "0", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** A decimal text with at least as many decimals as the market's finest price had. */
export function price(text: string, decimals: number): string {
  const [whole = "0", fraction = ""] = text.split(".");
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
  return `${percent >= 0 ? "+" : "−"}${Math.abs(percent).toFixed(2)} %`;
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

/** A short label: `14:05`, `28 Nov`, `Nov 2026`; a day that does not begin then has its time. */
export function dayOrTime(ms: number, unit: "time" | "day" | "month"): string {
  const text = stamp(ms);
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

/** A large number in short: 1.2 k, 3.4 M. */
export function short(value: number): string {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);
}
