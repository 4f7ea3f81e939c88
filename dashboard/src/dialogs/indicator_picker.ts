/** The indicator dialog: the drawn indicators with their parameters, and all available ones. */

import { byId, button, replaceRows } from "../browser/elements";
import * as history from "../server/history";
import { DELTA, baseName, title, type Kind } from "../model/indicators";

const MAX_LISTED = 200;

/** The chart whose indicators are selected. */
export interface PickerTarget {
  /** Names of the drawn indicators. */
  names(): readonly string[];
  /** Series that new names are validated on. */
  series(): { symbol: string; timeframe: string };
  onChange(names: string[]): void;
}

export class IndicatorPicker {
  private readonly dialog = byId<HTMLDialogElement>("picker");
  private readonly search = byId<HTMLInputElement>("picker-search");

  private target!: PickerTarget;

  /** `kinds` returns the available indicators once `loaded` has resolved. */
  constructor(private readonly kinds: () => Kind[], private readonly loaded: () => Promise<void>) {
    this.search.oninput = () => {
      this.showError();
      this.drawAvailable();
    };
    this.search.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // would close the dialog
      void this.submit(this.search.value.trim().toLowerCase());
    };
  }

  open(target: PickerTarget): void {
    this.target = target;
    this.showError();
    this.search.value = "";
    this.drawAvailable();
    this.drawSelected();
    this.dialog.showModal();
    this.search.focus();
  }

  private async submit(typed: string): Promise<void> {
    await this.loaded();
    const text = typed.replaceAll(/[\s,]+/g, ":");
    const kinds = this.kinds();
    const isKnown = kinds.some((each) => baseName(each.name) === baseName(text));
    const kind = kinds.find((each) => baseName(each.name) === text) ?? (isKnown ? undefined : this.matching(typed)[0]);
    await this.add(kind?.name ?? text);
  }

  /** Draws a row for each drawn indicator: its parameters and a remove button. */
  private drawSelected(): void {
    const names = this.target.names().filter((each) => each !== DELTA);
    replaceRows(
      byId("picked"),
      names.map((name) => {
        const row = document.createElement("li");
        const input = Object.assign(document.createElement("input"), { value: name, spellcheck: false, autocomplete: "off" });
        input.setAttribute("aria-label", `Parameters of ${title(name)}`);
        input.onkeydown = (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          input.blur();
        };
        input.onchange = () => void this.replace(name, input.value.trim().toLowerCase());
        row.append(input, button("Remove", () => this.apply(this.target.names().filter((each) => each !== name)), { "aria-label": `Remove ${title(name)}` }));
        return row;
      }),
    );
  }

  private matching(typed: string): Kind[] {
    const words = typed.split(/[\s:,]+/).filter((each) => /[a-z]/.test(each));
    return this.kinds().filter(({ name, title: full, group }) => words.every((each) => `${name} ${full} ${group}`.toLowerCase().includes(each)));
  }

  /** Lists the indicators that match the search. */
  drawAvailable(): void {
    const rows = this.matching(this.search.value.trim().toLowerCase()).slice(0, MAX_LISTED).map((kind) => {
      const row = button("", () => void this.add(kind.name), { class: "kind" });
      const name = Object.assign(document.createElement("b"), { textContent: kind.name });
      row.append(name, ` ${kind.title}`);
      return row;
    });
    byId("kinds").replaceChildren(...rows);
    if (!rows.length) byId("kinds").textContent = "No indicator matches.";
  }

  private async add(text: string): Promise<void> {
    const name = await this.resolve(text);
    if (!name) return;
    this.search.value = "";
    this.drawAvailable();
    this.apply([...new Set([...this.target.names(), name])]);
  }

  private async replace(previous: string, text: string): Promise<void> {
    const name = await this.resolve(text);
    if (!name) return;
    this.apply([...new Set(this.target.names().map((each) => (each === previous ? name : each)))]);
  }

  private apply(names: string[]): void {
    this.showError();
    this.target.onChange(names);
    this.drawSelected();
  }

  /** Returns the full name of an indicator, by requesting one value. Undefined if it is invalid, with the reason displayed. */
  private async resolve(text: string): Promise<string | undefined> {
    const { symbol, timeframe } = this.target.series();
    try {
      const rows = await history.values(symbol, timeframe, [text], 1);
      const column = Object.keys(rows[0]?.indicators ?? {})[0];
      if (!column) return text;
      const kind = this.kinds().find((each) => baseName(each.name) === baseName(column));
      return (kind?.columns.length ?? 1) > 1 ? column.slice(0, column.lastIndexOf(":")) : column;
    } catch (error) {
      this.showError(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  private showError(text = ""): void {
    byId("picker-problem").textContent = text;
    byId("picker-problem").hidden = !text;
  }
}
