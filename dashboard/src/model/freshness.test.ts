import { describe, expect, it } from "vitest";

import { ServerClock, Lag, PendingTrades, ago, level, describeLag } from "./freshness";

describe("freshness", () => {
  it("is amber above two seconds and red above ten, and is then described", () => {
    expect([500, 2_001, 10_001, undefined].map(level)).toEqual(["good", "amber", "red", "good"]);
    expect(describeLag(300, 500)).toBe("");
    expect(describeLag(14_000, 180_000)).toBe("trades 14 s behind, candles 3 min behind");
    expect([ago(400), ago(120_000)]).toEqual(["now", "2 min ago"]);
  });

  it("uses the server's clock", () => {
    const clock = new ServerClock();
    const now = Date.now();
    clock.pong(now - 20, now, now - 10 + 5_000);
    clock.pong(now - 900, now, now + 90_000); // a slow round trip is less accurate
    expect(Math.abs(clock.now - Date.now() - 5_000)).toBeLessThan(50);
  });

  it("measures the newest message, and nothing in a quiet market", () => {
    const lag = new Lag();
    lag.add(1_000, 4_000);
    lag.add(900, 5_000);
    lag.add(null, 5_000);
    expect(lag.ageAt(5_000)).toBe(3_000);
    expect(lag.ageAt(100_000)).toBeUndefined();
  });

  it("measures candles by the first trade that none covers, even before the first candle", () => {
    const pending = new PendingTrades();
    expect(pending.ageAt(1_000)).toBeUndefined();
    pending.addTrade(1_000);
    pending.addTrade(3_000);
    expect(pending.ageAt(4_000)).toBe(3_000);
    pending.addCandle(2_000);
    expect(pending.ageAt(4_000)).toBe(2_000);
    pending.addCandle(3_000);
    expect(pending.ageAt(4_000)).toBeUndefined();
    pending.addTrade(63_000); // a quiet minute does not count as lag
    expect(pending.ageAt(63_100)).toBe(100);
  });
});
