/** Whose clock times are written by: UTC, the browser's, the shown exchange's, or a named exchange's. */

import { at } from "./elements";

/** By ISO 10383 code, as trading calendars are named. */
const EXCHANGES: Record<string, string> = {
  XNYS: "America/New_York", XNAS: "America/New_York", XCME: "America/Chicago", XTSE: "America/Toronto", BVMF: "America/Sao_Paulo",
  XLON: "Europe/London", XPAR: "Europe/Paris", XAMS: "Europe/Amsterdam", XETR: "Europe/Berlin", XSWX: "Europe/Zurich", XMAD: "Europe/Madrid", XMIL: "Europe/Rome",
  XBOM: "Asia/Kolkata", XHKG: "Asia/Hong_Kong", XSES: "Asia/Singapore", XSHG: "Asia/Shanghai", XKRX: "Asia/Seoul", XTKS: "Asia/Tokyo", XASX: "Australia/Sydney",
};
/** Venues of instruments (`AAPL.NASDAQ`) that are no such code. */
const VENUES: Record<string, string> = { NYSE: "XNYS", NASDAQ: "XNAS", CME: "XCME", LSE: "XLON", XETRA: "XETR", TSE: "XTKS", HKEX: "XHKG", ASX: "XASX" };

export const ZONES = ["UTC", "local", "exchange", ...Object.keys(EXCHANGES)] as const;
export type Zone = (typeof ZONES)[number];

/** How a choice is listed. */
export function zoneTitle(zone: Zone): string {
  const place = EXCHANGES[zone];
  if (place) return `${zone} (${place})`;
  return { UTC: "UTC", local: "this browser's zone", exchange: "the exchange's zone, else UTC" }[zone]!;
}

/** The zone's IANA name; undefined: the browser's. Of the exchange: by the days of a timeframe, else by the instrument's venue. */
export function zoneName(zone: Zone, symbol = "", timeframe = ""): string | undefined {
  if (zone === "local") return undefined;
  if (zone !== "exchange") return EXCHANGES[zone] ?? "UTC";
  const days = timeframe.split("@").slice(1).join("@");
  const ofDays = EXCHANGES[days] ?? days.split("@").at(-1)!;
  if (EXCHANGES[days] || isZone(ofDays)) return ofDays;
  const venue = symbol.slice(symbol.lastIndexOf(".") + 1);
  return EXCHANGES[venue] ?? EXCHANGES[VENUES[venue] ?? ""] ?? "UTC";
}

/** Say on the page which zone it is. */
export function nameZone(name: string | undefined): void {
  at("zone-name").textContent = name ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function isZone(name: string): boolean {
  try {
    return name.includes("/") && !!new Intl.DateTimeFormat("en", { timeZone: name });
  } catch {
    return false;
  }
}
