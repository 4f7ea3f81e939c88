/** A room imports only from rooms before it, so that no change of a dialog or list can reach a client or the data. */

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const ROOMS = ["model", "browser", "server", "lists", "dialogs", "chart", "page"];

test.each(ROOMS)("%s imports no room after it", (room) => {
  const folder = new URL(room, import.meta.url).pathname;
  const texts = readdirSync(folder).filter((name) => !name.endsWith(".test.ts")).map((name) => readFileSync(`${folder}/${name}`, "utf8"));
  const imported = texts.flatMap((text) => [...text.matchAll(/from "\.\.\/(\w+)/g)].map((match) => match[1]!));
  const before = ROOMS.slice(0, ROOMS.indexOf(room));
  expect(imported.filter((each) => !before.includes(each))).toEqual([]);
});
