// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { DEFAULTS, Settings, parseSettings } from "./settings";
import { load } from "./storage";

describe("settings", () => {
  it("are the defaults if nothing or something invalid is stored", () => {
    for (const text of [null, "", "{", "[]", "7", '"x"', "null"]) expect(parseSettings(text)).toEqual(DEFAULTS);
  });

  it("accept valid values only", () => {
    const text = JSON.stringify({ scale: "log", style: "bars", indicators: ["rsi:14", "delta", "a b", "<i>", 7], favourites: ["A", "A", "B"], hidden: "A", symbol: 1 });
    const result = parseSettings(text);
    expect([result.scale, result.style, result.symbol]).toEqual(["log", "candles", ""]);
    expect(result.indicators).toEqual(["rsi:14", "delta"]);
    expect([result.favourites, result.hidden]).toEqual([["A", "B"], []]);
  });

  it("round-trip through a file", () => {
    const chosen = { ...DEFAULTS, zone: "local" as const, hidden: ["X"] };
    expect(parseSettings(JSON.stringify(chosen))).toEqual(chosen);
  });

  it("notify subscribers at once, then once for each change of what they follow", () => {
    const settings = new Settings();
    const calls: unknown[] = [];
    settings.subscribe(["scale", "style"], ({ scale, style }) => calls.push([scale, style]));
    settings.onChange(["favourites"], ({ favourites }) => calls.push(favourites));
    settings.set({ scale: "log", style: "line" });
    settings.set({ scale: "log" });
    settings.set({ tab: "alerts" });
    settings.toggle("favourites", "A");
    settings.toggle("favourites", "A");
    expect(calls).toEqual([["linear", "candles"], ["log", "line"], ["A"], []]);
  });

  it("of two tabs do not overwrite each other", () => {
    localStorage.clear();
    const [here, there] = [new Settings(), new Settings()];
    here.set({ groups: [{ name: "G", symbols: ["A"] }], group: "G", style: "line" });
    here.toggle("favourites", "A");
    there.set({ scale: "percent" });
    expect(parseSettings(load("kandle.settings"))).toMatchObject({ favourites: ["A"], scale: "percent", style: "line" });
    const calls: unknown[] = [];
    there.onChange(["favourites", "style"], ({ favourites, style }) => calls.push([favourites, style]));
    window.dispatchEvent(new StorageEvent("storage", { key: "kandle.settings", newValue: load("kandle.settings") }));
    expect(calls).toEqual([[["A"], "candles"]]); // the list, not the view
    there.toggle("favourites", "B");
    expect(parseSettings(load("kandle.settings")).favourites).toEqual(["A", "B"]);
    window.dispatchEvent(new StorageEvent("storage", { key: "kandle.settings", newValue: JSON.stringify(DEFAULTS) }));
    expect([here.now.groups, here.now.group]).toEqual([[], ""]);
  });
});
