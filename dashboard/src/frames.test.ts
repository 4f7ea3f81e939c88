// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Frames } from "./frames";

let drawn: string[];
let frames: Frames;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "performance"] });
  drawn = [];
  frames = new Frames((all) => drawn.push(all ? "all" : "urgent"));
});

afterEach(() => vi.useRealTimers());

test("what is urgent has each frame, the rest one in 100 ms", () => {
  for (let ms = 0; ms < 200; ms += 20) {
    frames.urgent();
    vi.advanceTimersByTime(20);
  }
  expect(drawn).toContain("urgent");
  expect(drawn.filter((each) => each === "all").length).toBeLessThanOrEqual(3);
  expect(drawn[0]).toBe("all"); // of a quiet market all comes at once
});

test("what may wait is drawn within 100 ms, without anything urgent", () => {
  frames.urgent();
  vi.advanceTimersByTime(20);
  frames.soon();
  frames.soon();
  vi.advanceTimersByTime(140);
  expect(drawn).toEqual(["all", "all"]);
});

test("after what is urgent alone, the rest follows", () => {
  frames.touch();
  vi.advanceTimersByTime(20);
  frames.urgent();
  vi.advanceTimersByTime(20);
  expect(drawn).toEqual(["all", "urgent"]);
  vi.advanceTimersByTime(140);
  expect(drawn).toEqual(["all", "urgent", "all"]);
});

test("what a person does draws all at once", () => {
  frames.touch();
  vi.advanceTimersByTime(20);
  frames.touch();
  vi.advanceTimersByTime(20);
  expect(drawn).toEqual(["all", "all"]);
});
