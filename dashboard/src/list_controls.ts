/** Controls of the symbol list: group, order and columns. */

import type { Cards } from "./cards";
import { at, button, select } from "./elements";
import { COLUMNS, SORTS, type Sort } from "./market";
import type { Settings } from "./settings";

const ALL = "all symbols";

export interface Listed {
  cards: Cards;
  settings: Settings;
  /** The selected symbol. */
  symbol(): string;
}

export class ListControls {
  constructor(private readonly listed: Listed) {
    const { settings } = listed;
    select("sort", SORTS, settings.now.sort, (sort) => this.sort(sort));
    at("way").onclick = () => this.sort(settings.now.sort);
    this.columns();
    settings.follow(["columns", "sort", "reversed"], () => this.heads());
    settings.follow(["groups", "group"], () => this.groups());
    at("add").onclick = () => settings.toggleIn(settings.now.group, listed.symbol());
    at<HTMLFormElement>("group-form").onsubmit = (event) => {
      event.preventDefault();
      const field = at<HTMLInputElement>("group-name");
      const name = field.value.trim();
      if (!name) return;
      const known = settings.now.groups.find((each) => each.name === name);
      if (!known) settings.set({ groups: [...settings.now.groups, { name, symbols: [listed.symbol()].filter(Boolean) }] });
      field.value = "";
    };
    const box = at<HTMLDetailsElement>("groups");
    box.ontoggle = () => {
      this.groups();
      if (box.open) box.querySelector("input")?.focus();
    };
    box.onkeydown = ({ key }) => {
      if (key !== "Escape") return;
      box.open = false;
      box.querySelector("summary")!.focus();
    };
  }

  /** Opens the groups of the selected symbol. */
  openGroups(): void {
    at<HTMLDetailsElement>("groups").open = true;
  }

  /** Switches to the next group. */
  nextGroup(): void {
    const { settings } = this.listed;
    const all = ["", ...settings.now.groups.map(({ name }) => name)];
    settings.set({ group: all[(all.indexOf(settings.now.group) + 1) % all.length]! });
  }

  /** Removes a symbol from the current group, or hides it. */
  remove(symbol: string): void {
    const { settings } = this.listed;
    if (settings.now.group) settings.toggleIn(settings.now.group, symbol);
    else settings.toggle("hidden", symbol);
  }

  /** Sorts by a column; choosing the current one reverses the order. */
  private sort(sort: Sort): void {
    const { settings } = this.listed;
    settings.set({ sort, reversed: sort === settings.now.sort && !settings.now.reversed });
  }

  private columns(): void {
    const { settings } = this.listed;
    at("columns").querySelector("div")!.append(
      ...COLUMNS.map((column) =>
        checkbox(column, settings.now.columns.includes(column), (isOn) =>
          settings.set({ columns: COLUMNS.filter((each) => (each === column ? isOn : settings.now.columns.includes(each))) }),
        ),
      ),
    );
  }

  /** Draws the column headers, which sort on click. */
  private heads(): void {
    const { cards, settings } = this.listed;
    const { columns, sort, reversed } = settings.now;
    at<HTMLSelectElement>("sort").value = sort;
    at("way").textContent = reversed ? "↑" : "↓";
    at("way").setAttribute("aria-label", reversed ? "Order reversed" : "Usual order");
    at("heads").hidden = !columns.length;
    at("heads").replaceChildren(
      ...columns.map((each) => {
        const made = button(each, () => this.sort(each), { "aria-pressed": String(sort === each), title: `Sort by ${each}` });
        if (sort === each) made.dataset.way = reversed ? "↑" : "↓";
        return made;
      }),
    );
    document.documentElement.style.setProperty("--extras", String(columns.length));
    cards.setColumns(columns);
  }

  private groups(): void {
    const { settings, symbol } = this.listed;
    const { groups, group } = settings.now;
    const names = [ALL, ...groups.map(({ name }) => name)];
    select("group", names, group || ALL, (chosen) => settings.set({ group: chosen === ALL ? "" : chosen }));
    const rows = groups.map(({ name, symbols }) => {
      const row = document.createElement("li");
      row.append(
        checkbox(name, symbols.includes(symbol()), () => settings.toggleIn(name, symbol())),
        button("Delete", () => settings.set({ groups: groups.filter((each) => each.name !== name), group: group === name ? "" : group }), { "aria-label": `Delete the group ${name}` }),
      );
      return row;
    });
    at("group-rows").replaceChildren(...rows);
  }
}

export function checkbox(name: string, checked: boolean, onChange: (isOn: boolean) => void): HTMLLabelElement {
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked });
  box.onchange = () => onChange(box.checked);
  label.append(box, ` ${name}`);
  return label;
}
