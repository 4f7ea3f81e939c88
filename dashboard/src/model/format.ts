/** Formats numbers and times for display. Decimal strings stay exact until then. */

/** IANA name of the display time zone; undefined is the browser's. */
let zone: string | undefined = "UTC";
const TIME: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const EXACT: Intl.DateTimeFormatOptions = { ...TIME, fractionalSecondDigits: 3 };
const WHOLE: Intl.DateTimeFormatOptions = { year: "numeric", month: "2-digit", day: "2-digit", ...TIME };
let [clock, exact, whole] = createFormats();

/** Swedish dates are written as in ISO 8601. */
function createFormats(): [Intl.DateTimeFormat, Intl.DateTimeFormat, Intl.DateTimeFormat] {
  const create = (parts: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("sv", { ...parts, hour12: false, timeZone: zone });
  return [create(TIME), create(EXACT), create(WHOLE)];
}

/** Sets the display time zone by its IANA name; undefined is the browser's. Returns whether it changed. */
export function setTimeZone(name: string | undefined): boolean {
  if (name === zone) return false;
  zone = name;
  [clock, exact, whole] = createFormats();
  return true;
}

/** Number formats: thousands separator and decimal mark. */
export const NUMBERS = ["1,234.5", "1.234,5", "1 234.5", "1 234,5", "1234.5"] as const;
export type Numbers = (typeof NUMBERS)[number];
/** Whether prices are padded to the market's decimals, or trailing zeros are trimmed. */
export const DIGITS = ["fixed", "trimmed"] as const;
export type Digits = (typeof DIGITS)[number];

let [thousandsMark, decimalMark, trimsZeros] = [",", ".", false];

/** Sets the number format. Returns whether it changed. */
export function setNumberFormat(numbers: Numbers, digits: Digits): boolean {
  const match = /^1(\D?)234(\D)5$/.exec(numbers)!;
  const previous = [thousandsMark, decimalMark, trimsZeros].join();
  [thousandsMark, decimalMark, trimsZeros] = [match[1] === " " ? "\u202f" : match[1]!, match[2]!, digits === "trimmed"];
  return previous !== [thousandsMark, decimalMark, trimsZeros].join();
}

/** Formats a decimal string with separated thousands and unchanged digits. */
export function decimal(text: string): string {
  const [whole = "0", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, thousandsMark);
  return fraction === undefined ? grouped : `${grouped}${decimalMark}${fraction}`;
}

/** Number of digits that a double keeps. */
const EXACT_DIGITS = 15;

/** Formats a number of the axis or of an indicator, without digits that a double does not keep. */
export function axisNumber(value: number, decimals: number): string {
  const exact = EXACT_DIGITS - 1 - Math.floor(Math.log10(Math.abs(value)));
  return decimal(value.toFixed(Math.max(0, Math.min(decimals, exact))));
}

/** Rounds a decimal string to `decimals` decimals and formats it. */
export function rounded(text: string, decimals: number): string {
  const plain = new Intl.NumberFormat("en", { useGrouping: false, minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  return decimal(plain.format(text as `${number}`));
}

/** Formats a price, padded to the market's `decimals` or trimmed of trailing zeros, according to the settings. */
export function price(text: string, decimals: number): string {
  const [whole = "0", fraction = ""] = text.split(".");
  if (trimsZeros) return decimal([whole, fraction.replace(/0+$/, "")].filter(Boolean).join("."));
  return decimal(decimals > 0 || fraction ? `${whole}.${fraction.padEnd(decimals, "0")}` : whole);
}

const MAX_SHORT = 13;
const SHORT_DIGITS = 8;

/** Formats a price for a narrow place: a longer one without trailing zeros or rounded, `≈ 100.15983`, since one that is cut off reads as another. */
export function shortPrice(text: string, decimals: number): string {
  const whole = price(text, decimals);
  if (whole.length <= MAX_SHORT) return whole;
  const short = String(Number(Number(text).toPrecision(SHORT_DIGITS)));
  return `${short === text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") ? "" : "≈ "}${decimal(short)}`;
}

/** Returns the number of decimals of a decimal string. */
export function decimals(text: string): number {
  return text.split(".")[1]?.length ?? 0;
}

/** Formats a relative change: `+1.25 %`, or a dash without a previous price. */
export function change(now: number, previous: number | undefined): string {
  if (previous === undefined || previous <= 0) return "–";
  const percent = (now / previous - 1) * 100;
  return `${percent >= 0 ? "+" : "−"}${Math.abs(percent).toFixed(2).replace(".", decimalMark)} %`;
}

/** Formats a time of day. */
export function time(ms: number): string {
  return clock.format(ms);
}

/** Formats a time of day with milliseconds. */
export function timeWithMs(ms: number): string {
  return exact.format(ms).replace(",", ".");
}

/** Formats a date and time of day. */
export function dateTime(ms: number): string {
  return whole.format(ms);
}

/**
 * Formats an axis label: `14:05:07`, `14:05`, `28 Nov`, `Nov 2026`; the time of day where a day does
 * not start at midnight of the display zone.
 */
export function axisTime(ms: number, unit: "second" | "time" | "day" | "month"): string {
  const text = dateTime(ms);
  if (unit === "second") return text.slice(11);
  if (unit === "time" || text.slice(11) !== "00:00:00") return text.slice(11, 16);
  const parts: Intl.DateTimeFormatOptions = unit === "day" ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" };
  return new Intl.DateTimeFormat("en-GB", { ...parts, timeZone: zone }).format(ms);
}

/** Formats a duration: `12 s`, `3 min`, `5 h`, `9 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.round(minutes / 60);
  return minutes < 120 ? `${minutes} min` : hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

const compactFormat = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

/** Formats a number with four digits: 1.2K, 3.4M, 0.00012. */
export function compact(value: number): string {
  return compactFormat.format(value).replace(".", decimalMark);
}
