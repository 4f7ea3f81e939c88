/** Display time zones: UTC, the browser's, the selected exchange's, or a named exchange's. */

/** Time zones by ISO 10383 market code, as trading calendars are named. */
const ZONE_OF_MARKET = new Map(Object.entries({
  XNYS: "America/New_York", XNAS: "America/New_York", XCME: "America/Chicago", XTSE: "America/Toronto", BVMF: "America/Sao_Paulo",
  XLON: "Europe/London", XPAR: "Europe/Paris", XAMS: "Europe/Amsterdam", XETR: "Europe/Berlin", XSWX: "Europe/Zurich", XMAD: "Europe/Madrid", XMIL: "Europe/Rome",
  XBOM: "Asia/Kolkata", XHKG: "Asia/Hong_Kong", XSES: "Asia/Singapore", XSHG: "Asia/Shanghai", XKRX: "Asia/Seoul", XTKS: "Asia/Tokyo", XASX: "Australia/Sydney",
}));
/** Market codes of venues in instrument names such as `AAPL.NASDAQ`. */
const MARKET_OF_VENUE = new Map(Object.entries({ NYSE: "XNYS", NASDAQ: "XNAS", CME: "XCME", LSE: "XLON", XETRA: "XETR", TSE: "XTKS", HKEX: "XHKG", ASX: "XASX" }));

export const ZONES = ["UTC", "local", "exchange", ...ZONE_OF_MARKET.keys()] as const;
export type Zone = (typeof ZONES)[number];

/** Returns the label of a choice. */
export function zoneTitle(zone: Zone): string {
  const name = ZONE_OF_MARKET.get(zone);
  if (name) return `${zone} (${name})`;
  return { UTC: "UTC", local: "browser's zone", exchange: "exchange's zone, or UTC" }[zone]!;
}

/**
 * Returns the zone's IANA name; undefined is the browser's. The exchange's zone follows from the
 * timeframe's session, else from the instrument's venue.
 */
export function zoneName(zone: Zone, symbol = "", timeframe = ""): string | undefined {
  if (zone === "local") return undefined;
  if (zone !== "exchange") return ZONE_OF_MARKET.get(zone) ?? "UTC";
  const session = timeframe.split("@").slice(1).join("@");
  const ofSession = ZONE_OF_MARKET.get(session) ?? session.split("@").at(-1)!;
  if (isZone(ofSession)) return ofSession;
  const venue = symbol.slice(symbol.lastIndexOf(".") + 1);
  return ZONE_OF_MARKET.get(MARKET_OF_VENUE.get(venue) ?? venue) ?? "UTC";
}

function isZone(name: string): boolean {
  try {
    return name.includes("/") && !!new Intl.DateTimeFormat("en", { timeZone: name });
  } catch {
    return false;
  }
}
