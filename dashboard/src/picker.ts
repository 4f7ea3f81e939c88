/** The dialog of indicators: those that are drawn with their parameters, and all that there are. */

import { at, button } from "./elements";
import * as history from "./history";
import { DELTA, base, title, type Kind } from "./indicators";

const LISTED = 200;

/** The chart whose indicators are picked. */
export interface Picked {
  /** Names of those that are drawn. */
  names(): readonly string[];
  /** An indicator is tried on it. */
  series(): { symbol: string; timeframe: string };
  onPicked(names: string[]): void;
}

export class Picker {
  private readonly dialog = at<HTMLDialogElement>("picker");
  private readonly search = at<HTMLInputElement>("picker-search");

  private picked!: Picked;

  /** `kinds`: those that there are, once they are `loaded`. */
  constructor(private readonly kinds: () => Kind[], private readonly loaded: () => Promise<void>) {
    this.search.oninput = () => this.list();
    this.search.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it would close the dialog
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

  /** Rows of the drawn indicators: parameters, and a remove button. */
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

  /** Show the indicators that the search leaves. */
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

  /** The whole name of what was typed, by asking for it; a sentence says why it is none. */
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
