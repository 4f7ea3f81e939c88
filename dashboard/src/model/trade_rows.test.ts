import { describe, expect, it } from "vitest";

import { TradeRows } from "./trade_rows";
import type { Bust, Tick } from "./messages";

const MINUTE = 60_000;

function tick(id: string, t: number, price: string, changes: Partial<Tick> = {}): Tick {
  return { symbol: "A", price, size: "1", t, side: "buy", trade_id: id, received: t, ...changes };
}

function bust(id: string, changes: Partial<Bust> = {}): Bust {
  return { symbol: "A", trade_id: id, venue: null, status: "cancelled", price: null, size: null, t: null, received: 0, ...changes };
}

function shown(rows: TradeRows): string[] {
  return rows.all.map(({ price, mark }) => `${price} ${mark ?? ""}`.trim());
}

describe("cancelled and corrected trades", () => {
  it("are marked; others are not", () => {
    const rows = new TradeRows();
    for (const id of ["1", "2", "3"]) rows.add(tick(id, Number(id), id), false);
    rows.applyBust(bust("2"));
    rows.applyBust(bust("99"));
    expect(shown(rows)).toEqual(["3", "2 cancelled", "1"]);
  });

  it("show their correction once, even if it is repeated or later cancelled", () => {
    const rows = new TradeRows();
    rows.add(tick("1", 1, "999"), false);
    const correction = bust("1", { status: "corrected", price: "10" });
    rows.applyBust(correction);
    rows.applyBust(correction);
    expect(shown(rows)).toEqual(["10 correction", "999 corrected"]);
    rows.applyBust(bust("1"));
    expect(shown(rows)).toEqual(["10 cancelled", "999 cancelled"]);
  });

  it("are looked up in the reported minute, otherwise the latest with the id", () => {
    const rows = new TradeRows();
    rows.add(tick("1", 0, "10"), false);
    rows.add(tick("1", MINUTE, "20"), false);
    rows.applyBust(bust("1", { t: 5 }));
    expect(shown(rows)).toEqual(["20", "10 cancelled"]);
    rows.applyBust(bust("1"));
    expect(shown(rows)).toEqual(["20 cancelled", "10 cancelled"]);
  });

  it("are marked by history even if displayed before", () => {
    const rows = new TradeRows();
    rows.add(tick("1", 1, "999"), false);
    rows.merge([tick("1", 1, "999", { mark: "cancelled" }), tick("0", 0, "5")]);
    expect(shown(rows)).toEqual(["999 cancelled", "5"]);
  });
});
