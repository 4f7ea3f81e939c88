import { expect, test } from "vitest";

import { PatternPages } from "./pattern_pages";
import type { Pattern } from "../model/messages";

test("each range is loaded once, and only what is older than the loaded patterns", async () => {
  const read: [number, number][] = [];
  const pages = new PatternPages(async (from, to) => {
    read.push([from, to]);
    return [{ id: `${from}` } as Pattern];
  });
  pages.setLoaded(1_000);
  expect(await pages.loadFrom(1_200)).toEqual([]);
  expect((await pages.loadFrom(400)).map(({ id }) => id)).toEqual(["400"]);
  expect(await pages.loadFrom(500)).toEqual([]);
  await pages.loadFrom(100);
  expect(read).toEqual([[400, 1_000], [100, 400]]);
});

test("a failed load is retried", async () => {
  let away = true;
  const pages = new PatternPages(async () => {
    if (away) throw new Error("away");
    return [];
  });
  pages.setLoaded(1_000);
  await expect(pages.loadFrom(0)).rejects.toThrow("away");
  away = false;
  expect(await pages.loadFrom(0)).toEqual([]);
});

test("a pending load also fetches what another view needs", async () => {
  const read: [number, number][] = [];
  const answers: (() => void)[] = [];
  const pages = new PatternPages((from, to) => {
    read.push([from, to]);
    return new Promise((done) => answers.push(() => done([{ id: `${from}` } as Pattern])));
  });
  pages.setLoaded(1_000);
  const first = pages.loadFrom(400);
  expect(await pages.loadFrom(100)).toEqual([]);
  answers.shift()!();
  await new Promise((on) => setTimeout(on));
  answers.shift()!();
  expect((await first).map(({ id }) => id)).toEqual(["400", "100"]);
  expect(read).toEqual([[400, 1_000], [100, 400]]);
});
