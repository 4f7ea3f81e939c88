// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";

import { bindPopups, button, byId, checkRadio, fillTable, replaceRows } from "./elements";

beforeEach(() => {
  document.body.innerHTML =
    '<ul id="list"></ul><div id="choice"><button>a</button><button>b</button></div><details id="one"><summary></summary><input></details><details id="two"><summary></summary></details><button id="other"></button>';
});

test("a list that is drawn anew keeps the focus at its place, or on its last row", () => {
  const rows = (...names: string[]) => names.map((each) => button(each, () => undefined));
  replaceRows(byId("list"), rows("a", "b", "c"));
  expect(document.activeElement).toBe(document.body);
  byId("list").querySelectorAll("button")[1]!.focus();
  replaceRows(byId("list"), rows("a", "c", "d"));
  expect(document.activeElement!.textContent).toBe("c");
  replaceRows(byId("list"), rows("a"));
  expect(document.activeElement!.textContent).toBe("a");
});

test("a table that is filled again keeps the texts that stay the same, and a selection within them", () => {
  const table = document.createElement("table");
  fillTable(table, ["Name", "Age"], [["a", "1 s"], ["b", "2 s"]]);
  const [name, age] = table.rows[1]!.cells;
  const text = name!.firstChild;
  fillTable(table, ["Name", "Age"], [["a", "3 s"]]);
  expect([table.rows[1]!.cells[0]!.firstChild === text, age!.textContent, table.rows.length]).toEqual([true, "3 s", 2]);
  fillTable(table, ["Name", "Age"], []);
  expect([table.hidden, table.rows.length]).toEqual([true, 1]);
});

test("the Tab key stops at the selected button of a radio group only", () => {
  checkRadio("choice", "b");
  expect([...document.querySelectorAll<HTMLElement>("#choice button")].map(({ tabIndex }) => tabIndex)).toEqual([-1, 0]);
});

test("Escape closes a popup and returns the focus; a click or focus elsewhere closes it too", () => {
  bindPopups();
  const [one, two] = [byId<HTMLDetailsElement>("one"), byId<HTMLDetailsElement>("two")];
  one.open = true;
  one.querySelector("input")!.focus();
  expect(one.open).toBe(true);
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
  expect([one.open, document.activeElement]).toEqual([false, one.querySelector("summary")]);
  [one.open, two.open] = [true, true];
  two.dispatchEvent(new Event("pointerdown", { bubbles: true }));
  expect([one.open, two.open]).toEqual([false, true]);
  byId("other").focus();
  expect(two.open).toBe(false);
});
