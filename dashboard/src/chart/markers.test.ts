import { describe, expect, it } from "vitest";

import { CandleStore, type Candle } from "../model/candles";
import { markers } from "./markers";
import type { Pattern } from "../model/messages";
import { DEFAULT_FILTER, selectPatterns, title } from "../model/patterns";

const MINUTE = 60_000;

function store(count: number, changes: Partial<Candle> = {}): CandleStore {
  const candles = new CandleStore();
  for (let n = 0; n < count; n += 1)
    candles.apply({ t: n * MINUTE, o: "1", h: "1", l: "1", c: "1", v: "1", bv: "0", sv: "0", n: 1, vw: "1", closed: true, partial: false, complete: true, revision: 1, ...changes });
  return candles;
}

function pattern(minute: number, changes: Partial<Pattern> = {}): Pattern {
  return {
    id: `${minute}`, symbol: "A", timeframe: "1m", pattern_type: "cdl_engulfing", kind: "candlestick", direction: 1,
    confidence: 0.7, level: "medium", trigger_price: "1", timestamp: (minute + 1) * MINUTE, status: "active", revision: 1,
    ...changes,
  };
}

const at = (spacing: number, width = Infinity) => ({ x: (t: number) => (1 + t / MINUTE) * spacing, y: (price: number) => 100 - price, width });

describe("markers", () => {
  it("are one per candle and side, labelled by the highest rank", () => {
    const all = [pattern(3), pattern(3, { kind: "chart", pattern_type: "double_top" }), pattern(3, { direction: -1 })];
    expect(markers(store(10), all, 20, at(20)).map(({ above, text }) => [above, text])).toEqual([
      [false, "double top 70% +1"],
      [true, "engulfing 70%"],
    ]);
  });

  it("are labelled unless a label of higher rank is in the way", () => {
    const all = [pattern(3), pattern(4, { confidence: 0.9 }), pattern(9)];
    expect(markers(store(10), all, 20, at(20)).map(({ text }) => text)).toEqual(["", "engulfing 90%", "engulfing 70%"]);
    expect(markers(store(10), all, 200, at(200)).map(({ text }) => text)).not.toContain("");
    const other = new CandleStore();
    for (const each of store(10).all()) other.apply({ ...each, l: String(each.t / 1000) });
    expect(markers(other, all.slice(0, 1), 20, at(20)).map(({ text }) => text)).toEqual(["engulfing 70%"]);
  });

  it("are labelled unless another candle is in the way", () => {
    const falling = new CandleStore();
    for (const each of store(10).all()) falling.apply({ ...each, h: String(80 - (each.t / MINUTE) * 10), l: String(60 - (each.t / MINUTE) * 10) });
    expect(markers(falling, [pattern(3)], 10, at(10)).map(({ text }) => text)).toEqual([""]);
    expect(markers(falling, [pattern(3, { direction: -1 })], 200, at(200)).map(({ text }) => text)).toEqual(["engulfing 70%"]);
  });

  it("are labelled unless the pane's edge would cut the label", () => {
    const all = [pattern(0), pattern(9)];
    expect(markers(store(10), all, 20, at(20, 220)).map(({ text }) => text)).toEqual(["", ""]);
    expect(markers(store(10), all, 80, at(80, 880)).map(({ text }) => text)).toEqual(["engulfing 70%", "engulfing 70%"]);
  });

  it("cross out retracted patterns, and show gaps", () => {
    const result = markers(store(2, { complete: false }), [pattern(1, { status: "retracted" })], 200, at(200));
    expect(result.map(({ t, text, color }) => [t, text, color])).toEqual([
      [0, "gap", "--warn"],
      [MINUTE, "✕ engulfing", "--muted"],
    ]);
    const other = markers(store(2), [pattern(1, { status: "retracted" })], 200, at(200));
    expect(other.map(({ text }) => text)).toEqual(["✕ engulfing"]);
  });

  it("show strong patterns, all, or none", () => {
    const all = [pattern(1), pattern(2, { level: "high" }), pattern(3, { kind: "chart", level: "low" })];
    expect(selectPatterns(all, DEFAULT_FILTER).map(({ id }) => id)).toEqual(["2", "3"]);
    expect(selectPatterns(all, { ...DEFAULT_FILTER, choice: "all" })).toHaveLength(3);
    expect(selectPatterns(all, { ...DEFAULT_FILTER, choice: "off" })).toHaveLength(0);
    const mixed = [pattern(1, { kind: "chart", confidence: 0.599 }), pattern(2, { kind: "anomaly", confidence: 0.9 }), pattern(3, { confidence: 0.59 })];
    expect(selectPatterns(mixed, { choice: "all", kinds: ["chart", "candlestick"], least: 60 }).map(({ id }) => id)).toEqual(["1"]);
  });

  it("are one for a run of the same anomaly, at the strongest candle", () => {
    const anomaly = (minute: number, confidence: number, changes: Partial<Pattern> = {}): Pattern => pattern(minute, { kind: "anomaly", pattern_type: "anomaly_strong_volume", confidence, ...changes });
    const run = [anomaly(3, 0.7), anomaly(1, 0.6), anomaly(2, 0.9), anomaly(5, 0.8), anomaly(6, 0.5, { direction: -1 })];
    expect(markers(store(10), run, 300, at(300)).map(({ t, text }) => [t / MINUTE, text])).toEqual([
      [2, "strong volume anomaly 90% ×3"],
      [5, "strong volume anomaly 80%"],
      [6, "strong volume anomaly 50%"],
    ]);
    const shapes = [pattern(1), pattern(2), pattern(3)]; // each is a pattern of its own
    expect(markers(store(10), shapes, 300, at(300))).toHaveLength(3);
  });

  it("show the venue's candles once a run, and join several notes of one candle", () => {
    const candles = new CandleStore();
    for (const [n, each] of store(5).all().entries()) candles.apply({ ...each, origin: n < 3 ? "venue" : "trades", complete: n !== 3, partial: n === 3 });
    expect(markers(candles, [], 300, at(300)).map(({ t, text }) => [t / MINUTE, text])).toEqual([[0, "venue"], [3, "gap, partial"]]);
  });

  it("have readable names", () => {
    expect(["cdl_3whitesoldiers", "cdl_doji", "double_top", "anomaly_strong_volume"].map(title)).toEqual([
      "three white soldiers", "doji", "double top", "strong volume anomaly",
    ]);
  });

  it("show an outlier on the side towards the axis", () => {
    const result = markers(store(3, { o: "10", c: "10", l: "9", h: "900" }), [], 200, at(200), [0]);
    expect(result.map(({ above, text }) => [above, text])).toEqual([[false, "off the axis"]]);
  });
});
