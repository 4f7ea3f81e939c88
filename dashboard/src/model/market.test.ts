import { describe, expect, it } from "vitest";

import { Market, type Order } from "./market";

const tick = (price: string, t: number, received = t) => ({ symbol: "A", price, size: "1", t, side: null, trade_id: null, received });

describe("the last price", () => {
  it("is that of the latest trade by event time, whatever is received last", () => {
    const market = new Market();
    expect(market.applyTick(tick("150.65", 2_000), false)).toBe(true);
    expect(market.applyTick(tick("158.88", 1_000, 3_000), true)).toBe(false);
    expect(market.applyTick(tick("158.88", 1_500), false)).toBe(false);
    expect(market.get("A")).toMatchObject({ last: "150.65", t: 2_000 });
    market.applyOverview([{ symbol: "A", price: "149", size: "1", t: 1_999, received: 1_999, open: "100", session_open: null, high: "1", low: "1", volume: "1", change: 1, points: ["1"], spread: null, candle: null }]);
    expect(market.get("A").last).toBe("150.65");
    expect(market.applyTick(tick("151", 2_000), false)).toBe(true);
  });
});

describe("the list", () => {
  it("is sorted as selected: favourites first, hidden symbols left out, symbols without a value last", () => {
    const order: Order = { sort: "last trade", favourites: ["D"], hidden: ["E"] };
    const market = new Market(() => order);
    ["C", "A", "B", "D", "E"].forEach((symbol, n) => market.applyTick({ ...tick(String(9 - n), n * 1_000), symbol }, false));
    market.get("NEW");
    const listed = (changes: Partial<Order>): string[] => {
      Object.assign(order, changes);
      market.invalidateOrder();
      return market.symbols;
    };
    expect(listed({})).toEqual(["D", "B", "A", "C", "NEW"]);
    expect(listed({ reversed: true })).toEqual(["D", "C", "A", "B", "NEW"]);
    expect(listed({ sort: "price", reversed: false })).toEqual(["D", "C", "A", "B", "NEW"]);
    expect(listed({ sort: "name", favourites: [] })).toEqual(["A", "B", "C", "D", "NEW"]);
    const overview = { size: "1", t: 9_000, received: 0, session_open: null, high: null, low: null, volume: "1", change: null, points: [], spread: null, candle: null };
    market.applyOverview([["A", "-10", "-40"], ["B", "8", "4"], ["C", "9", "10"]].map(([symbol, open, price]) => ({ ...overview, symbol: symbol!, open: open!, price: price! })));
    expect(listed({ sort: "change" })).toEqual(["C", "B", "A", "D", "NEW"]); // a ratio of negative prices is not a change
    expect(listed({ sort: "name", groups: [{ name: "two", symbols: ["E", "A"] }], group: "two" })).toEqual(["A", "E"]);
  });
});
