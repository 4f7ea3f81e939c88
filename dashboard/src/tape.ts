/** The trade tape: the last trades of the selected symbol, with late, cancelled, corrected and large ones highlighted. */

import { decimal, moment, price } from "./format";
import { type Row, TradeRows } from "./trade_rows";

/** A trade is large from this multiple of the median size on. */
const LARGE = 10;

export class Tape extends TradeRows {
  private readonly body: HTMLTableSectionElement;
  private readonly least: HTMLInputElement;
  private drawn = new WeakMap<Row, { as: string; row: HTMLTableRowElement }>();

  constructor(box: HTMLElement) {
    super();
    box.innerHTML =
      '<label class="least">At least <input type="number" min="0" step="any" placeholder="any size" aria-label="Smallest size shown" /></label>' +
      "<table><thead><tr><th>Time</th><th>Price</th><th>Size</th></tr></thead><tbody></tbody></table>";
    this.body = box.querySelector("tbody")!;
    this.least = box.querySelector("input")!;
    this.least.oninput = () => { this.stale = true; };
  }

  /** Redraws all rows after a change of time zone or number format. */
  redraw(): void {
    this.drawn = new WeakMap();
    this.stale = true;
  }

  /** Updates the table; called once a frame. Unchanged rows keep their elements. */
  paint(decimals: number): void {
    if (!this.stale) return;
    this.stale = false;
    const { middle, largest } = sizes(this.rows);
    const shown = this.rows.filter(({ size }) => Number(size) >= Number(this.least.value));
    shown.forEach((tick, n) => {
      const row = this.row(tick, decimals);
      const size = Number(tick.size);
      const share = `${largest ? Math.round((size / largest) * 100) : 0}%`;
      if (row.style.getPropertyValue("--share") !== share) row.style.setProperty("--share", share);
      row.classList.toggle("large", middle > 0 && size >= LARGE * middle);
      const there = this.body.children[n] ?? null;
      if (there !== row) this.body.insertBefore(row, there);
    });
    while (this.body.childElementCount > shown.length) this.body.lastElementChild!.remove();
  }

  private row(tick: Row, decimals: number): HTMLTableRowElement {
    const marks = [tick.late ? "late" : "", tick.mark ?? ""].filter(Boolean);
    const as = `${decimals} ${marks.join(" ")}`;
    const known = this.drawn.get(tick);
    if (known?.as === as) return known.row;
    const row = document.createElement("tr");
    const cells = [[moment(tick.t), ...marks].join(" "), price(tick.price, decimals), decimal(tick.size)];
    for (const text of cells) row.insertCell().textContent = text;
    row.className = [...marks, tick.side ?? ""].join(" ").trim();
    if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
    this.drawn.set(tick, { as, row });
    return row;
  }
}

/** Returns the median and the largest size. */
export function sizes(rows: readonly Row[]): { middle: number; largest: number } {
  const sorted = rows.map(({ size }) => Number(size)).sort((a, b) => a - b);
  return { middle: sorted[Math.floor(sorted.length / 2)] ?? 0, largest: sorted.at(-1) ?? 0 };
}
