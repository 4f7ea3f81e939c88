import { describe, expect, it } from "vitest";

import { BarStore } from "./bar_store";
import type { Candle } from "./candles";

function bar(t: number, changes: Partial<Candle> = {}): Candle {
  return { t, o: "1", h: "1", l: "1", c: "1", v: "1", bv: "0", sv: "0", n: 1, vw: "1", closed: true, partial: false, complete: true, revision: 0, ...changes };
}

const live = (t: number, number: number, n = 1, day = 0): Candle => bar(t, { number, day, n, revision: number * 100 + n, closed: false });
const shown = (store: BarStore): [number, number][] => store.all().map(({ t, n }) => [Math.floor(t), n]);

describe("BarStore", () => {
  it("keeps bars of the same millisecond apart and in order", () => {
    const store = new BarStore();
    store.mergeNewest([bar(5), bar(5, { n: 2 }), bar(5, { n: 3 }), bar(6)], null);
    expect(shown(store)).toEqual([[5, 1], [5, 2], [5, 3], [6, 1]]);
    const times = store.all().map(({ t }) => t / 1000);
    expect(new Set(times).size).toBe(4);
    expect([...times].sort((a, b) => a - b)).toEqual(times);
    const now = new BarStore();
    now.mergeNewest([bar(1_800_000_000_000), bar(1_800_000_000_000)], null);
    expect(now.all()[0]!.t / 1000).toBeLessThan(now.all()[1]!.t / 1000);
  });

  it("updates the newest bar, and appends its successor", () => {
    const store = new BarStore();
    store.mergeNewest([bar(1), bar(4)], "before");
    expect([store.apply(live(4, 7, 2)), store.apply(live(4, 7, 3)), store.apply(live(4, 8, 1)), store.apply(live(9, 0, 1, 1))]).toEqual(Array(4).fill("newest"));
    expect(shown(store)).toEqual([[1, 1], [4, 3], [4, 1], [9, 1]]);
    expect([store.isStale, store.cursor]).toEqual([false, "before"]);
    expect(store.apply(live(9, 0, 1, 1))).toBe("ignored");
  });

  it("becomes stale if the feed corrects, withdraws or skips bars", () => {
    for (const sent of [live(2, 6), bar(4, { number: 7, day: 0, n: 0, revision: 999 }), live(9, 10)]) {
      const store = new BarStore();
      store.mergeNewest([bar(1), bar(4)], null);
      store.apply(live(4, 7));
      expect(store.apply(sent)).toBe("ignored");
      expect(store.isStale).toBe(true);
      store.mergeNewest([bar(1), bar(4), bar(6), bar(9)], null);
      expect(store.isStale).toBe(false);
    }
  });

  it("takes over the state of history once loaded, and applies live bars only if they surely continue it", () => {
    const store = new BarStore();
    expect(store.apply(live(9, 3, 4))).toBe("ignored");
    expect(store.isStale).toBe(true);
    store.mergeNewest([bar(1), bar(9, { n: 5 })], null);
    expect([store.apply(live(9, 3, 4)), store.isStale]).toEqual(["ignored", true]); // sent before history was read
    store.mergeNewest([bar(1), bar(9, { n: 5 })], null);
    expect([store.apply(live(9, 3, 6)), store.apply(live(9, 4)), store.isStale]).toEqual(["newest", "newest", false]);
    expect(shown(store)).toEqual([[1, 1], [9, 6], [9, 1]]);
    store.mergeNewest([bar(9, { n: 6 }), bar(9), bar(9)], null);
    expect([store.apply(live(9, 4)), store.isStale]).toEqual(["ignored", true]); // ambiguous: three bars start then
    expect(shown(store).slice(-3)).toEqual([[9, 6], [9, 1], [9, 1]]);
  });

  it("keeps older pages when the newest page is reloaded", () => {
    const store = new BarStore();
    store.mergeNewest([bar(5), bar(6)], "five");
    store.prepend([bar(3), bar(5, { n: 9 })], "three");
    expect(shown(store)).toEqual([[3, 1], [5, 9], [5, 1], [6, 1]]);
    store.mergeNewest([bar(5), bar(6), bar(7)], "five");
    expect(shown(store)).toEqual([[3, 1], [5, 9], [5, 1], [6, 1], [7, 1]]);
    expect(store.cursor).toBe("three");
    store.mergeNewest([bar(50)], "fifty"); // not contiguous: bars in between are unknown
    expect([shown(store), store.cursor]).toEqual([[[50, 1]], "fifty"]);
  });
});
