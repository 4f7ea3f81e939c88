import { expect, test } from "vitest";

import { ZONES, zoneName, zoneTitle } from "./zones";

test("the exchange's zone is that of the days of the timeframe, else of the venue, else UTC", () => {
  expect(zoneName("exchange", "AAPL", "1d@XNYS")).toBe("America/New_York");
  expect(zoneName("exchange", "ES.CME", "4h@1700@America/Chicago")).toBe("America/Chicago");
  expect(zoneName("exchange", "SAP", "1h@Europe/Berlin")).toBe("Europe/Berlin");
  expect(zoneName("exchange", "7203.XTKS", "1m")).toBe("Asia/Tokyo");
  expect(zoneName("exchange", "AAPL.NASDAQ", "volume:1000")).toBe("America/New_York");
  expect(zoneName("exchange", "BTC-USDT.BINANCE", "1d@1700@Nowhere/Else")).toBe("UTC");
});

test("every choice has a name, and a zone that there is", () => {
  for (const each of ZONES) {
    expect(zoneTitle(each)).toBeTruthy();
    expect(() => new Intl.DateTimeFormat("en", { timeZone: zoneName(each) })).not.toThrow();
  }
  expect(zoneName("local")).toBeUndefined();
});
