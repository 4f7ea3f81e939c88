import { describe, expect, it } from "vitest";

import { toCsv, heikinAshi } from "./bars";
import type { Candle } from "./candles";

const candle = (t: number, o: string, h: string, l: string, c: string): Candle => ({
  ...{ t, o, h, l, c, v: "1.50", bv: "1", sv: "0.50", n: 2, vw: null, closed: true, partial: false, complete: true, revision: 3 },
});

describe("bars", () => {
  it("of Heikin-Ashi open at the midpoint of the previous body", () => {
    const result = heikinAshi([candle(0, "10", "14", "8", "12"), candle(1, "12", "13", "11", "12")]);
    expect(result[0]).toEqual({ t: 0, open: 11, high: 14, low: 8, close: 11 });
    expect(result[1]).toEqual({ t: 1, open: 11, high: 13, low: 11, close: 12 });
  });

  it("are exported as CSV with exact decimals", () => {
    const [head, row] = toCsv([candle(0, "0.10", "0.20", "0.10", "0.123456789012345678")]).split("\n");
    expect(head).toBe("time,open,high,low,close,volume,vwap,trades,closed,revision");
    expect(row).toBe("1970-01-01T00:00:00.000Z,0.10,0.20,0.10,0.123456789012345678,1.50,,2,true,3");
  });

  it("by volume, ticks or range are exported with their end", () => {
    const bars = [{ ...candle(0, "1", "1", "1", "1"), end: 250 }, { ...candle(250.5, "2", "2", "2", "2"), end: 251, closed: false }];
    const [head, ...rows] = toCsv(bars).trimEnd().split("\n");
    expect(head).toBe("time,open,high,low,close,volume,vwap,trades,closed,end");
    expect(rows).toEqual([
      "1970-01-01T00:00:00.000Z,1,1,1,1,1.50,,2,true,1970-01-01T00:00:00.250Z",
      "1970-01-01T00:00:00.250Z,2,2,2,2,1.50,,2,false,1970-01-01T00:00:00.251Z",
    ]);
  });
});
