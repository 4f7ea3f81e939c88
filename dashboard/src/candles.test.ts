import { describe, expect, it } from "vitest";

import { CandleStore, type Candle } from "./candles";

function candle(t: number, revision: number, close = "1", closed = false): Candle {
  return { t, o: "1", h: "9", l: "1", c: close, v: "1", bv: "0", sv: "0", vw: "1", n: 1, closed, partial: false, complete: true, revision };
}

describe("candles from history and from the live feed", () => {
  it("are the same whichever comes first, and however often", () => {
    const all = [candle(0, 3, "3", true), candle(0, 1), candle(60, 2, "5"), candle(60, 1, "4"), candle(120, 1, "6")];
    const orders = [all, [...all].reverse(), [...all, ...all], [all[3]!, all[0]!, all[4]!, all[1]!, all[2]!]];
    const shown = orders.map((some) => {
      const store = new CandleStore();
      for (const each of some) store.take(each);
      return store.all();
    });
    for (const each of shown) expect(each).toEqual([all[0], all[2], all[4]]);
  });

  it("ignore an older revision, and what is known", () => {
    const store = new CandleStore();
    expect(store.take(candle(0, 5))).toBe("newest");
    expect(store.take(candle(0, 5))).toBe("ignored");
    expect(store.take(candle(0, 4, "7"))).toBe("ignored");
    expect(store.last?.c).toBe("1");
  });

  it("say when a closed one was changed", () => {
    const store = new CandleStore();
    store.take(candle(0, 1, "1", true));
    store.take(candle(60, 1));
    expect(store.take(candle(0, 2, "1", true))).toBe("older");
    expect(store.take(candle(0, 3, "2", true))).toBe("corrected");
    expect([...store.corrected]).toEqual([0]);
  });

  it("that grow are no corrections", () => {
    const store = new CandleStore();
    store.take(candle(0, 1));
    expect(store.take(candle(0, 2, "2"))).toBe("newest");
    expect(store.take(candle(0, 3, "2", true))).toBe("newest");
    expect(store.corrected.size).toBe(0);
  });

  it("before the first are put before it", () => {
    const store = new CandleStore();
    store.take(candle(120, 1));
    expect(store.take(candle(60, 1))).toBe("older");
    expect(store.all().map(({ t }) => t)).toEqual([60, 120]);
  });
});
