import { describe, expect, it } from "vitest";

import { DEFAULTS, Settings, parsed } from "./settings";

describe("settings", () => {
  it("are the defaults if nothing or something invalid is stored", () => {
    for (const text of [null, "", "{", "[]", "7", '"x"', "null"]) expect(parsed(text)).toEqual(DEFAULTS);
  });

  it("accept valid values only", () => {
    const text = JSON.stringify({ scale: "log", style: "bars", indicators: ["rsi:14", "delta", "a b", "<i>", 7], favourites: ["A", "A", "B"], hidden: "A", symbol: 1 });
    const found = parsed(text);
    expect([found.scale, found.style, found.symbol]).toEqual(["log", "candles", ""]);
    expect(found.indicators).toEqual(["rsi:14", "delta"]);
    expect([found.favourites, found.hidden]).toEqual([["A", "B"], []]);
  });

  it("round-trip through a file", () => {
    const chosen = { ...DEFAULTS, zone: "local" as const, hidden: ["X"] };
    expect(parsed(JSON.stringify(chosen))).toEqual(chosen);
  });

  it("notify subscribers at once, then once for each change of what they follow", () => {
    const settings = new Settings();
    const seen: unknown[] = [];
    settings.follow(["scale", "style"], ({ scale, style }) => seen.push([scale, style]));
    settings.on(["favourites"], ({ favourites }) => seen.push(favourites));
    settings.set({ scale: "log", style: "line" });
    settings.set({ scale: "log" });
    settings.set({ tab: "alerts" });
    settings.toggle("favourites", "A");
    settings.toggle("favourites", "A");
    expect(seen).toEqual([["linear", "candles"], ["log", "line"], ["A"], []]);
  });
});
