import { expect, test } from "vitest";

import { ZONES, zoneName, zoneTitle } from "./zones";

test("the exchange's zone follows from the timeframe's session, else from the venue, else it is UTC", () => {
  expect(zoneName("exchange", "AAPL", "1d@XNYS")).toBe("America/New_York");
  expect(zoneName("exchange", "ES.CME", "4h@1700@America/Chicago")).toBe("America/Chicago");
  expect(zoneName("exchange", "SAP", "1h@Europe/Berlin")).toBe("Europe/Berlin");
  expect(zoneName("exchange", "7203.XTKS", "1m")).toBe("Asia/Tokyo");
  expect(zoneName("exchange", "AAPL.NASDAQ", "volume:1000")).toBe("America/New_York");
  expect(zoneName("exchange", "BTC-USDT.BINANCE", "1d@1700@Nowhere/Else")).toBe("UTC");
  for (const symbol of ["constructor", "A.toString"]) expect(zoneName("exchange", symbol, "1m")).toBe("UTC");
});

test("every choice has a label and a valid time zone", () => {
  for (const each of ZONES) {
    expect(zoneTitle(each)).toBeTruthy();
    expect(() => new Intl.DateTimeFormat("en", { timeZone: zoneName(each) })).not.toThrow();
  }
  expect(zoneName("local")).toBeUndefined();
});
