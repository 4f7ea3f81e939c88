import { describe, expect, it } from "vitest";

import { Clock, Lag, Pending, ago, level, words } from "./freshness";

describe("ages", () => {
  it("are amber above two seconds, red above ten, and then have words", () => {
    expect([500, 2_001, 10_001, undefined].map(level)).toEqual(["good", "amber", "red", "good"]);
    expect(words(300, 500)).toBe("");
    expect(words(14_000, 180_000)).toBe("trades 14 s behind, candles 3 min behind");
    expect([ago(400), ago(120_000)]).toEqual(["now", "2 min ago"]);
  });

  it("go by the server's clock", () => {
    const clock = new Clock();
    const now = Date.now();
    clock.pong(now - 20, now, now - 10 + 5_000);
    clock.pong(now - 900, now, now + 90_000); // slow: says less
    expect(Math.abs(clock.now - Date.now() - 5_000)).toBeLessThan(50);
  });

  it("are of what came last, and of nothing in a quiet market", () => {
    const lag = new Lag();
    lag.take(1_000, 4_000);
    lag.take(900, 5_000);
    lag.take(null, 5_000);
    expect(lag.at(5_000)).toBe(3_000);
    expect(lag.at(100_000)).toBeUndefined();
  });

  it("of candles are those of the first trade that none has, also where no candle ever came", () => {
    const pending = new Pending();
    expect(pending.at(1_000)).toBeUndefined();
    pending.trade(1_000);
    pending.trade(3_000);
    expect(pending.at(4_000)).toBe(3_000);
    pending.candle(2_000);
    expect(pending.at(4_000)).toBe(2_000);
    pending.candle(3_000);
    expect(pending.at(4_000)).toBeUndefined();
    pending.trade(63_000); // after a quiet minute, nothing is a minute behind
    expect(pending.at(63_100)).toBe(100);
  });
});
