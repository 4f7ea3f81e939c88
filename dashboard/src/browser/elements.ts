/** DOM helpers: look up elements by id, and create small ones. */

export function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Sets an element's text if it differs; assigning the same text would cause a layout. */
export function setText(id: string, text: string): void {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Creates a label with a value, `O 101.5`, or text alone. */
export function createLabel(className: string, name: string, value = ""): HTMLElement {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = value ? `${name} ` : name;
  if (value) element.appendChild(document.createElement("b")).textContent = value;
  return element;
}

export function button(text: string, onClick: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.onclick = onClick;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function tableRow(kind: "td" | "th", cells: readonly string[]): HTMLTableRowElement {
  const row = document.createElement("tr");
  row.append(...cells.map((textContent) => Object.assign(document.createElement(kind), { textContent })));
  return row;
}

/** Fills a table, hidden without rows, and returns its rows. Texts that stay the same are left alone, and with them what is selected. */
export function fillTable(table: HTMLTableElement, heads: readonly string[], rows: readonly string[][]): HTMLTableRowElement[] {
  table.hidden = !rows.length;
  if (!table.tHead) table.createTHead().append(tableRow("th", heads));
  const body = table.tBodies[0] ?? table.createTBody();
  const known = [...body.querySelectorAll("tr")];
  for (const each of known.splice(rows.length)) each.remove();
  return rows.map((cells, at) => {
    const row = known[at] ?? body.appendChild(tableRow("td", cells));
    for (const [n, text] of cells.entries()) if (row.cells[n]!.textContent !== text) row.cells[n]!.textContent = text;
    return row;
  });
}

/** Fills a select element and reports the choice. */
export function select<T extends string>(id: string, options: readonly T[], current: T, onChoose: (chosen: T) => void, title: (each: T) => string = (each) => each): void {
  const list = byId<HTMLSelectElement>(id);
  list.replaceChildren(...options.map((each) => Object.assign(document.createElement("option"), { value: each, textContent: title(each), selected: each === current })));
  list.onchange = () => onChoose(list.value as T);
}

/** Marks the selected button of a radio group, its only stop of the Tab key. */
export function checkRadio(group: string, name: string): void {
  for (const each of byId(group).querySelectorAll("button")) {
    each.setAttribute("aria-checked", String(each.textContent === name));
    each.tabIndex = each.textContent === name ? 0 : -1;
  }
}

const FOCUSABLE = "button, input";

/** Replaces the content of a list. The focus stays at its place, or moves to the last one. */
export function replaceRows(list: HTMLElement, rows: readonly HTMLElement[]): void {
  const at = [...list.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement!);
  list.replaceChildren(...rows);
  const next = list.querySelectorAll<HTMLElement>(FOCUSABLE);
  if (at >= 0) next[Math.min(at, next.length - 1)]?.focus();
}

/** Closes popups with Escape, which returns the focus, and when another part of the page is clicked or focused. */
export function bindPopups(): void {
  const close = (isLeft: (popup: HTMLDetailsElement) => boolean, returnsFocus: boolean): void => {
    for (const popup of document.querySelectorAll<HTMLDetailsElement>("details[open]")) {
      if (!isLeft(popup)) continue;
      popup.open = false;
      if (returnsFocus) popup.querySelector("summary")!.focus();
    }
  };
  for (const type of ["pointerdown", "focusin"]) document.addEventListener(type, ({ target }) => close((popup) => !popup.contains(target as Node), false));
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") close(() => true, true); });
}

/** Shows a notice over the chart; empty text hides it. */
export function showNotice(text = ""): void {
  byId("notice").hidden = !text;
  setText("notice", text);
}
