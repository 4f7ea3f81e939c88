import { describe, expect, it } from "vitest";

import { CandleStore, type Candle } from "./candles";

function candle(t: number, revision: number, close = "1", closed = false): Candle {
  return { t, o: "1", h: "9", l: "1", c: close, v: "1", bv: "0", sv: "0", vw: "1", n: 1, closed, partial: false, complete: true, revision };
}

describe("CandleStore", () => {
  it("reaches the same state in any order of updates, and with duplicates", () => {
    const all = [candle(0, 3, "3", true), candle(0, 1), candle(60, 2, "5"), candle(60, 1, "4"), candle(120, 1, "6")];
    const orders = [all, [...all].reverse(), [...all, ...all], [all[3]!, all[0]!, all[4]!, all[1]!, all[2]!]];
    const shown = orders.map((some) => {
      const store = new CandleStore();
      for (const each of some) store.apply(each);
      return store.all();
    });
    for (const each of shown) expect(each).toEqual([all[0], all[2], all[4]]);
  });

  it("ignores older and known revisions", () => {
    const store = new CandleStore();
    expect(store.apply(candle(0, 5))).toBe("newest");
    expect(store.apply(candle(0, 5))).toBe("ignored");
    expect(store.apply(candle(0, 4, "7"))).toBe("ignored");
    expect(store.last?.c).toBe("1");
  });

  it("reports a change of a closed candle", () => {
    const store = new CandleStore();
    store.apply(candle(0, 1, "1", true));
    store.apply(candle(60, 1));
    expect(store.apply(candle(0, 2, "1", true))).toBe("older");
    expect(store.apply(candle(0, 3, "2", true))).toBe("corrected");
    expect([...store.corrected]).toEqual([0]);
  });

  it("does not report updates of an open candle as corrections", () => {
    const store = new CandleStore();
    store.apply(candle(0, 1));
    expect(store.apply(candle(0, 2, "2"))).toBe("newest");
    expect(store.apply(candle(0, 3, "2", true))).toBe("newest");
    expect(store.corrected.size).toBe(0);
  });

  it("inserts a candle before the first one", () => {
    const store = new CandleStore();
    store.apply(candle(120, 1));
    expect(store.apply(candle(60, 1))).toBe("older");
    expect(store.all().map(({ t }) => t)).toEqual([60, 120]);
  });
});
