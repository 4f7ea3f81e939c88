// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { DrawScheduler } from "./draw_scheduler";

let drawn: string[];
let scheduler: DrawScheduler;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "performance"] });
  drawn = [];
  scheduler = new DrawScheduler((all) => drawn.push(all ? "all" : "urgent"));
});

afterEach(() => vi.useRealTimers());

test("urgent parts are drawn each frame, everything once in 100 ms", () => {
  for (let ms = 0; ms < 200; ms += 20) {
    scheduler.requestUrgent();
    vi.advanceTimersByTime(20);
  }
  expect(drawn).toContain("urgent");
  expect(drawn.filter((each) => each === "all").length).toBeLessThanOrEqual(3);
  expect(drawn[0]).toBe("all"); // everything is drawn at once when idle
});

test("a deferred change is drawn within 100 ms, without anything urgent", () => {
  scheduler.requestUrgent();
  vi.advanceTimersByTime(20);
  scheduler.requestSoon();
  scheduler.requestSoon();
  vi.advanceTimersByTime(140);
  expect(drawn).toEqual(["all", "all"]);
});

test("a full redraw follows an urgent one", () => {
  scheduler.request();
  vi.advanceTimersByTime(20);
  scheduler.requestUrgent();
  vi.advanceTimersByTime(20);
  expect(drawn).toEqual(["all", "urgent"]);
  vi.advanceTimersByTime(140);
  expect(drawn).toEqual(["all", "urgent", "all"]);
});

test("a full request is drawn at once", () => {
  scheduler.request();
  vi.advanceTimersByTime(20);
  scheduler.request();
  vi.advanceTimersByTime(20);
  expect(drawn).toEqual(["all", "all"]);
});
