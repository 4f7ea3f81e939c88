/** Controls of the symbol list: group, order and columns. */

import type { Cards } from "./cards";
import { byId, button, replaceRows, select } from "../browser/elements";
import { COLUMNS, SORTS, type Sort } from "../model/market";
import type { Settings } from "../browser/settings";

const ALL_SYMBOLS = "all symbols";

export interface Dependencies {
  cards: Cards;
  settings: Settings;
  /** The selected symbol. */
  symbol(): string;
}

export class ListControls {
  constructor(private readonly deps: Dependencies) {
    const { settings } = deps;
    select("sort", SORTS, settings.now.sort, (sort) => this.sort(sort));
    byId("way").onclick = () => this.sort(settings.now.sort);
    this.addColumns();
    settings.subscribe(["columns", "sort", "reversed"], () => this.drawHeads());
    settings.subscribe(["groups", "group"], () => this.drawGroups());
    byId("add").onclick = () => settings.toggleInGroup(settings.now.group, deps.symbol());
    byId<HTMLFormElement>("group-form").onsubmit = (event) => {
      event.preventDefault();
      const field = byId<HTMLInputElement>("group-name");
      const name = field.value.trim();
      if (!name) return;
      const existing = settings.now.groups.find((each) => each.name === name);
      if (!existing) settings.set({ groups: [...settings.now.groups, { name, symbols: [deps.symbol()].filter(Boolean) }] });
      field.value = "";
    };
    const box = byId<HTMLDetailsElement>("groups");
    box.ontoggle = () => {
      this.drawGroups();
      if (box.open) box.querySelector("input")?.focus();
    };
  }

  /** Opens the groups of the selected symbol. */
  openGroups(): void {
    byId<HTMLDetailsElement>("groups").open = true;
  }

  /** Switches to the next group. */
  nextGroup(): void {
    const { settings } = this.deps;
    const all = ["", ...settings.now.groups.map(({ name }) => name)];
    settings.set({ group: all[(all.indexOf(settings.now.group) + 1) % all.length]! });
  }

  /** Removes a symbol from the current group, or hides it. */
  remove(symbol: string): void {
    const { settings } = this.deps;
    if (settings.now.group) settings.toggleInGroup(settings.now.group, symbol);
    else settings.toggle("hidden", symbol);
  }

  /** Sorts by a column; choosing the current one reverses the order. */
  private sort(sort: Sort): void {
    const { settings } = this.deps;
    settings.set({ sort, reversed: sort === settings.now.sort && !settings.now.reversed });
  }

  private addColumns(): void {
    const { settings } = this.deps;
    byId("columns").querySelector("div")!.append(
      ...COLUMNS.map((column) =>
        checkbox(column, settings.now.columns.includes(column), (isOn) =>
          settings.set({ columns: COLUMNS.filter((each) => (each === column ? isOn : settings.now.columns.includes(each))) }),
        ),
      ),
    );
  }

  /** Draws the column headers, which sort on click. */
  private drawHeads(): void {
    const { cards, settings } = this.deps;
    const { columns, sort, reversed } = settings.now;
    byId<HTMLSelectElement>("sort").value = sort;
    byId("way").textContent = reversed ? "↑" : "↓";
    byId("way").setAttribute("aria-label", reversed ? "Reversed order" : "Default order");
    byId("heads").hidden = !columns.length;
    const heads = columns.map((each) => {
      const element = button(each, () => this.sort(each), { "aria-pressed": String(sort === each), title: `Sort by ${each}` });
      if (sort === each) element.dataset.way = reversed ? "↑" : "↓";
      return element;
    });
    replaceRows(byId("heads"), heads);
    document.documentElement.style.setProperty("--extras", String(columns.length));
    cards.setColumns(columns);
  }

  private drawGroups(): void {
    const { settings, symbol } = this.deps;
    const { groups, group } = settings.now;
    const names = [ALL_SYMBOLS, ...groups.map(({ name }) => name)];
    select("group", names, group || ALL_SYMBOLS, (chosen) => settings.set({ group: chosen === ALL_SYMBOLS ? "" : chosen }));
    const rows = groups.map(({ name, symbols }) => {
      const row = document.createElement("li");
      row.append(
        checkbox(name, symbols.includes(symbol()), () => settings.toggleInGroup(name, symbol())),
        button("Delete", () => settings.set({ groups: groups.filter((each) => each.name !== name), group: group === name ? "" : group }), { "aria-label": `Delete the group ${name}` }),
      );
      return row;
    });
    replaceRows(byId("group-rows"), rows);
  }
}

export function checkbox(name: string, checked: boolean, onChange: (isOn: boolean) => void): HTMLLabelElement {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked });
  box.onchange = () => onChange(box.checked);
  label.append(box, ` ${name}`);
  return label;
}
