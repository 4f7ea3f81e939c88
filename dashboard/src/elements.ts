/** DOM helpers: look up elements by id, and create small ones. */

export function at<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Sets an element's text if it differs; assigning the same text would cause a layout. */
export function write(id: string, text: string): void {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Creates a label with a value, `O 101.5`, or text alone. */
export function part(kind: string, name: string, value = ""): HTMLElement {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = value ? `${name} ` : name;
  if (value) made.appendChild(document.createElement("b")).textContent = value;
  return made;
}

export function button(text: string, onClick: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.onclick = onClick;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Fills a select element and reports the choice. */
export function select<T extends string>(id: string, all: readonly T[], now: T, onChoose: (chosen: T) => void, title: (each: T) => string = (each) => each): void {
  const list = at<HTMLSelectElement>(id);
  list.replaceChildren(...all.map((each) => Object.assign(document.createElement("option"), { value: each, textContent: title(each), selected: each === now })));
  list.onchange = () => onChoose(list.value as T);
}

/** Marks the selected button of a radio group. */
export function check(group: string, name: string): void {
  for (const each of at(group).querySelectorAll("button"))
    each.setAttribute("aria-checked", String(each.textContent === name));
}

/** Shows a notice over the chart; empty text hides it. */
export function notice(text = ""): void {
  at("notice").hidden = !text;
  write("notice", text);
}
