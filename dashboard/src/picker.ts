/** The indicator dialog: the drawn indicators with their parameters, and all available ones. */

import { at, button } from "./elements";
import * as history from "./history";
import { DELTA, base, title, type Kind } from "./indicators";

const LISTED = 200;

/** The chart whose indicators are selected. */
export interface Picked {
  /** Names of the drawn indicators. */
  names(): readonly string[];
  /** Series that new names are validated on. */
  series(): { symbol: string; timeframe: string };
  onPicked(names: string[]): void;
}

export class Picker {
  private readonly dialog = at<HTMLDialogElement>("picker");
  private readonly search = at<HTMLInputElement>("picker-search");

  private picked!: Picked;

  /** `kinds` returns the available indicators once `loaded` has resolved. */
  constructor(private readonly kinds: () => Kind[], private readonly loaded: () => Promise<void>) {
    this.search.oninput = () => this.list();
    this.search.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // would close the dialog
      void this.enter(this.search.value.trim().toLowerCase());
    };
  }

  open(picked: Picked): void {
    this.picked = picked;
    this.problem();
    this.search.value = "";
    this.list();
    this.show();
    this.dialog.showModal();
    this.search.focus();
  }

  private async enter(typed: string): Promise<void> {
    await this.loaded();
    const text = typed.replaceAll(/[\s,]+/g, ":");
    const kinds = this.kinds();
    const isNamed = kinds.some((each) => base(each.name) === base(text));
    const whole = kinds.find((each) => base(each.name) === text) ?? (isNamed ? undefined : this.found(typed)[0]);
    await this.add(whole?.name ?? text);
  }

  /** Draws a row for each drawn indicator: its parameters and a remove button. */
  private show(): void {
    const names = this.picked.names().filter((each) => each !== DELTA);
    at("picked").replaceChildren(
      ...names.map((name) => {
        const row = document.createElement("li");
        const input = Object.assign(document.createElement("input"), { value: name, spellcheck: false, autocomplete: "off" });
        input.setAttribute("aria-label", `Parameters of ${title(name)}`);
        input.onkeydown = (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          input.blur();
        };
        input.onchange = () => void this.replace(name, input.value.trim().toLowerCase());
        row.append(input, button("Remove", () => this.give(this.picked.names().filter((each) => each !== name)), { "aria-label": `Remove ${title(name)}` }));
        return row;
      }),
    );
  }

  private found(typed: string): Kind[] {
    const words = typed.split(/[\s:,]+/).filter((each) => /[a-z]/.test(each));
    return this.kinds().filter(({ name, title: said, group }) => words.every((each) => `${name} ${said} ${group}`.toLowerCase().includes(each)));
  }

  /** Lists the indicators that match the search. */
  list(): void {
    const rows = this.found(this.search.value.trim().toLowerCase()).slice(0, LISTED).map((kind) => {
      const row = button("", () => void this.add(kind.name), { class: "kind" });
      const name = Object.assign(document.createElement("b"), { textContent: kind.name });
      row.append(name, ` ${kind.title}`);
      return row;
    });
    at("kinds").replaceChildren(...rows);
    if (!rows.length) at("kinds").textContent = "No indicator of this name.";
  }

  private async add(text: string): Promise<void> {
    const name = await this.tried(text);
    if (!name) return;
    this.search.value = "";
    this.list();
    this.give([...new Set([...this.picked.names(), name])]);
  }

  private async replace(before: string, text: string): Promise<void> {
    const name = await this.tried(text);
    if (!name) return;
    this.give([...new Set(this.picked.names().map((each) => (each === before ? name : each)))]);
  }

  private give(names: string[]): void {
    this.problem();
    this.picked.onPicked(names);
    this.show();
  }

  /** Returns the full name of an indicator, by requesting one value. Undefined if it is invalid, with the reason displayed. */
  private async tried(text: string): Promise<string | undefined> {
    const { symbol, timeframe } = this.picked.series();
    try {
      const found = await history.values(symbol, timeframe, [text], 1);
      const column = Object.keys(found[0]?.indicators ?? {})[0];
      if (!column) return text;
      const kind = this.kinds().find((each) => base(each.name) === base(column));
      return (kind?.columns.length ?? 1) > 1 ? column.slice(0, column.lastIndexOf(":")) : column;
    } catch (error) {
      this.problem(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  private problem(text = ""): void {
    at("picker-problem").textContent = text;
    at("picker-problem").hidden = !text;
  }
}
