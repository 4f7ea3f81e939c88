/** Display time zones: UTC, the browser's, the selected exchange's, or a named exchange's. */

import { at } from "./elements";

/** Time zones by ISO 10383 market code, as trading calendars are named. */
const EXCHANGES: Record<string, string> = {
  XNYS: "America/New_York", XNAS: "America/New_York", XCME: "America/Chicago", XTSE: "America/Toronto", BVMF: "America/Sao_Paulo",
  XLON: "Europe/London", XPAR: "Europe/Paris", XAMS: "Europe/Amsterdam", XETR: "Europe/Berlin", XSWX: "Europe/Zurich", XMAD: "Europe/Madrid", XMIL: "Europe/Rome",
  XBOM: "Asia/Kolkata", XHKG: "Asia/Hong_Kong", XSES: "Asia/Singapore", XSHG: "Asia/Shanghai", XKRX: "Asia/Seoul", XTKS: "Asia/Tokyo", XASX: "Australia/Sydney",
};
/** Market codes of venues in instrument names such as `AAPL.NASDAQ`. */
const VENUES: Record<string, string> = { NYSE: "XNYS", NASDAQ: "XNAS", CME: "XCME", LSE: "XLON", XETRA: "XETR", TSE: "XTKS", HKEX: "XHKG", ASX: "XASX" };

export const ZONES = ["UTC", "local", "exchange", ...Object.keys(EXCHANGES)] as const;
export type Zone = (typeof ZONES)[number];

/** Returns the label of a choice. */
export function zoneTitle(zone: Zone): string {
  const place = EXCHANGES[zone];
  if (place) return `${zone} (${place})`;
  return { UTC: "UTC", local: "this browser's zone", exchange: "the exchange's zone, else UTC" }[zone]!;
}

/**
 * Returns the zone's IANA name; undefined is the browser's. The exchange's zone follows from the
 * timeframe's session, else from the instrument's venue.
 */
export function zoneName(zone: Zone, symbol = "", timeframe = ""): string | undefined {
  if (zone === "local") return undefined;
  if (zone !== "exchange") return EXCHANGES[zone] ?? "UTC";
  const days = timeframe.split("@").slice(1).join("@");
  const ofDays = EXCHANGES[days] ?? days.split("@").at(-1)!;
  if (EXCHANGES[days] || isZone(ofDays)) return ofDays;
  const venue = symbol.slice(symbol.lastIndexOf(".") + 1);
  return EXCHANGES[venue] ?? EXCHANGES[VENUES[venue] ?? ""] ?? "UTC";
}

/** Displays the name of the current zone. */
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
