/** The tape: the last trades of the chosen symbol as a table; late, cancelled and corrected ones marked. */

import { decimal, price, time } from "./format";
import { TradeRows } from "./trade_rows";

export class Tape extends TradeRows {
  private readonly body: HTMLTableSectionElement;

  constructor(box: HTMLElement) {
    super();
    box.innerHTML = "<table><thead><tr><th>Time</th><th>Price</th><th>Size</th></tr></thead><tbody></tbody></table>";
    this.body = box.querySelector("tbody")!;
  }

  /** Draw what has changed; called once a frame. */
  paint(decimals: number): void {
    if (!this.stale) return;
    this.stale = false;
    this.body.replaceChildren(
      ...this.rows.map((tick) => {
        const row = document.createElement("tr");
        const marks = [tick.late ? "late" : "", tick.mark ?? ""].filter(Boolean);
        const cells = [[time(tick.t), ...marks].join(" "), price(tick.price, decimals), decimal(tick.size)];
        for (const text of cells) row.insertCell().textContent = text;
        row.className = marks.join(" ");
        if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
        return row;
      }),
    );
  }
}
