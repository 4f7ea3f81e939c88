/** The trade tape: the last trades of the selected symbol, with late, cancelled, corrected and large ones highlighted. */

import { decimal, timeWithMs, price } from "../model/format";
import { type Row, TradeRows } from "../model/trade_rows";

/** A trade is large from this multiple of the median size on. */
const LARGE_FACTOR = 10;

export class Tape extends TradeRows {
  private readonly body: HTMLTableSectionElement;
  private readonly minSize: HTMLInputElement;
  private drawn = new WeakMap<Row, { version: string; row: HTMLTableRowElement }>();

  constructor(box: HTMLElement) {
    super();
    box.innerHTML =
      '<label class="least">At least <input type="number" min="0" step="any" placeholder="any size" aria-label="Minimum size" /></label>' +
      "<table><thead><tr><th>Time</th><th>Price</th><th>Size</th></tr></thead><tbody></tbody></table>";
    this.body = box.querySelector("tbody")!;
    this.minSize = box.querySelector("input")!;
    this.minSize.oninput = () => { this.isDirty = true; };
  }

  /** Redraws all rows after a change of time zone or number format. */
  redraw(): void {
    this.drawn = new WeakMap();
    this.isDirty = true;
  }

  /** Updates the table; called once a frame. Unchanged rows keep their elements. */
  paint(decimals: number): void {
    if (!this.isDirty) return;
    this.isDirty = false;
    const { median, largest } = sizes(this.rows);
    const visible = this.rows.filter(({ size }) => Number(size) >= Number(this.minSize.value));
    visible.forEach((tick, n) => {
      const row = this.row(tick, decimals);
      const size = Number(tick.size);
      const share = `${largest ? Math.round((size / largest) * 100) : 0}%`;
      if (row.style.getPropertyValue("--share") !== share) row.style.setProperty("--share", share);
      row.classList.toggle("large", median > 0 && size >= LARGE_FACTOR * median);
      const present = this.body.children[n] ?? null;
      if (present !== row) this.body.insertBefore(row, present);
    });
    while (this.body.childElementCount > visible.length) this.body.lastElementChild!.remove();
  }

  private row(tick: Row, decimals: number): HTMLTableRowElement {
    const marks = [tick.late ? "late" : "", tick.mark ?? ""].filter(Boolean);
    const version = `${decimals} ${marks.join(" ")}`;
    const cached = this.drawn.get(tick);
    if (cached?.version === version) return cached.row;
    const row = document.createElement("tr");
    const cells = [[timeWithMs(tick.t), ...marks].join(" "), price(tick.price, decimals), decimal(tick.size)];
    for (const text of cells) row.insertCell().textContent = text;
    row.className = [...marks, tick.side ?? ""].join(" ").trim();
    if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
    this.drawn.set(tick, { version, row });
    return row;
  }
}

/** Returns the median and the largest size. */
export function sizes(rows: readonly Row[]): { median: number; largest: number } {
  const sorted = rows.map(({ size }) => Number(size)).sort((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, largest: sorted.at(-1) ?? 0 };
}
