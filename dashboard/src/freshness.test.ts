import { describe, expect, it } from "vitest";

import { Clock, Lag, Pending, ago, level, words } from "./freshness";

describe("freshness", () => {
  it("is amber above two seconds and red above ten, and is then described", () => {
    expect([500, 2_001, 10_001, undefined].map(level)).toEqual(["good", "amber", "red", "good"]);
    expect(words(300, 500)).toBe("");
    expect(words(14_000, 180_000)).toBe("trades 14 s behind, candles 3 min behind");
    expect([ago(400), ago(120_000)]).toEqual(["now", "2 min ago"]);
  });

  it("uses the server's clock", () => {
    const clock = new Clock();
    const now = Date.now();
    clock.pong(now - 20, now, now - 10 + 5_000);
    clock.pong(now - 900, now, now + 90_000); // a slow round trip is less accurate
    expect(Math.abs(clock.now - Date.now() - 5_000)).toBeLessThan(50);
  });

  it("measures the newest message, and nothing in a quiet market", () => {
    const lag = new Lag();
    lag.take(1_000, 4_000);
    lag.take(900, 5_000);
    lag.take(null, 5_000);
    expect(lag.at(5_000)).toBe(3_000);
    expect(lag.at(100_000)).toBeUndefined();
  });

  it("measures candles by the first trade that none covers, even before the first candle", () => {
    const pending = new Pending();
    expect(pending.at(1_000)).toBeUndefined();
    pending.trade(1_000);
    pending.trade(3_000);
    expect(pending.at(4_000)).toBe(3_000);
    pending.candle(2_000);
    expect(pending.at(4_000)).toBe(2_000);
    pending.candle(3_000);
    expect(pending.at(4_000)).toBeUndefined();
    pending.trade(63_000); // a quiet minute does not count as lag
    expect(pending.at(63_100)).toBe(100);
  });
});
