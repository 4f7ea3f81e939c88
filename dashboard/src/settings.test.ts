import { describe, expect, it } from "vitest";

import { DEFAULTS, Settings, parsed } from "./settings";

describe("settings", () => {
  it("are as by default where nothing, or nonsense, is stored", () => {
    for (const text of [null, "", "{", "[]", "7", '"x"', "null"]) expect(parsed(text)).toEqual(DEFAULTS);
  });

  it("take what is a choice, and nothing else", () => {
    const text = JSON.stringify({ scale: "log", style: "bars", indicators: ["rsi:14", "delta", "a b", "<i>", 7], favourites: ["A", "A", "B"], hidden: "A", symbol: 1 });
    const found = parsed(text);
    expect([found.scale, found.style, found.symbol]).toEqual(["log", "candles", ""]);
    expect(found.indicators).toEqual(["rsi:14", "delta"]);
    expect([found.favourites, found.hidden]).toEqual([["A", "B"], []]);
  });

  it("come back from a file as they went into it", () => {
    const chosen = { ...DEFAULTS, zone: "local" as const, hidden: ["X"] };
    expect(parsed(JSON.stringify(chosen))).toEqual(chosen);
  });

  it("are followed: at once, then once with each change of what is followed", () => {
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
