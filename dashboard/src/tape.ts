/** The last trades of the chosen symbol, newest first. */

import { decimal, price, time } from "./format";
import type { Tick } from "./live";

export const ROWS = 60;

export class Tape {
  private rows: Tick[] = [];
  private stale = true;
  private readonly body: HTMLTableSectionElement;

  constructor(box: HTMLElement) {
    box.innerHTML = "<table><thead><tr><th>Time</th><th>Price</th><th>Size</th></tr></thead><tbody></tbody></table>";
    this.body = box.querySelector("tbody")!;
  }

  clear(): void {
    this.rows = [];
    this.stale = true;
  }

  add(tick: Tick): void {
    this.rows = [tick, ...this.rows].slice(0, ROWS);
    this.stale = true;
  }

  /** Trades from history, the newest first, behind the live ones; each once. */
  fill(older: Tick[]): void {
    const known = new Set(this.rows.map(key));
    this.rows = [...this.rows, ...older.filter((each) => !known.has(key(each)))].slice(0, ROWS);
    this.stale = true;
  }

  /** Draw what has changed; called once a frame. */
  paint(decimals: number): void {
    if (!this.stale) return;
    this.stale = false;
    this.body.replaceChildren(
      ...this.rows.map((tick) => {
        const row = document.createElement("tr");
        const cells = [time(tick.t), price(tick.price, decimals), decimal(tick.size)];
        for (const text of cells) row.insertCell().textContent = text;
        if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
        return row;
      }),
    );
  }
}

function key({ t, price, size, trade_id }: Tick): string {
  return `${t}/${trade_id ?? ""}/${price}/${size}`;
}
