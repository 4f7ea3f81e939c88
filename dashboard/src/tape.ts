/** The tape: the last trades of the chosen symbol as a table; late, cancelled and corrected ones marked. */

import { decimal, price, time } from "./format";
import { type Row, TradeRows } from "./trade_rows";

export class Tape extends TradeRows {
  private readonly body: HTMLTableSectionElement;
  private drawn = new WeakMap<Row, { as: string; row: HTMLTableRowElement }>();

  constructor(box: HTMLElement) {
    super();
    box.innerHTML = "<table><thead><tr><th>Time</th><th>Price</th><th>Size</th></tr></thead><tbody></tbody></table>";
    this.body = box.querySelector("tbody")!;
  }

  /** Times are written otherwise: draw all rows anew. */
  redraw(): void {
    this.drawn = new WeakMap();
    this.stale = true;
  }

  /** Draw what has changed; called once a frame. Rows that are as they were stay where they are. */
  paint(decimals: number): void {
    if (!this.stale) return;
    this.stale = false;
    this.rows.forEach((tick, n) => {
      const row = this.row(tick, decimals);
      if (this.body.rows[n] !== row) this.body.insertBefore(row, this.body.rows[n] ?? null);
    });
    while (this.body.rows.length > this.rows.length) this.body.lastElementChild!.remove();
  }

  private row(tick: Row, decimals: number): HTMLTableRowElement {
    const marks = [tick.late ? "late" : "", tick.mark ?? ""].filter(Boolean);
    const as = `${decimals} ${marks.join(" ")}`;
    const known = this.drawn.get(tick);
    if (known?.as === as) return known.row;
    const row = document.createElement("tr");
    const cells = [[time(tick.t), ...marks].join(" "), price(tick.price, decimals), decimal(tick.size)];
    for (const text of cells) row.insertCell().textContent = text;
    row.className = marks.join(" ");
    if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
    this.drawn.set(tick, { as, row });
    return row;
  }
}
