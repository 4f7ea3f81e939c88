/** The last trades of the chosen symbol by their own times, the latest first; late ones marked. */

import { decimal, price, time } from "./format";
import type { Tick } from "./live";

export const ROWS = 60;
const MARKED_MS = 1_000;

interface Row extends Tick {
  late: boolean;
}

export class Tape {
  private rows: Row[] = [];
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

  /**
   * A trade goes to its own place in time. It is marked where it is late by a second: received after
   * a trade of a later time, and not only shown after it.
   */
  add(tick: Tick, late: boolean): void {
    if (tick.trade_id && this.rows.some((each) => key(each) === key(tick))) return; // history was first
    const at = this.rows.findIndex((each) => each.t <= tick.t);
    const newest = this.rows[0] ?? tick;
    const row = { ...tick, late: late && newest.t - tick.t >= MARKED_MS && tick.received >= newest.received };
    this.rows.splice(at < 0 ? this.rows.length : at, 0, row);
    this.rows.length = Math.min(this.rows.length, ROWS);
    this.stale = true;
  }

  /** Trades from history, the newest first, behind the live ones; each once. */
  fill(older: Tick[]): void {
    const known = new Set(this.rows.map(key));
    const added = older.filter((each) => !known.has(key(each))).map((each) => ({ ...each, late: false }));
    this.rows = [...this.rows, ...added].sort((a, b) => b.t - a.t).slice(0, ROWS);
    this.stale = true;
  }

  /** Whether it shows the trade, by its time and price, or later ones alone. */
  has({ t, price }: Pick<Tick, "t" | "price">): boolean {
    const isFull = this.rows.length === ROWS;
    return this.rows.some((each) => each.t === t && Number(each.price) === Number(price)) || (isFull && this.rows.at(-1)!.t > t);
  }

  /** Draw what has changed; called once a frame. */
  paint(decimals: number): void {
    if (!this.stale) return;
    this.stale = false;
    this.body.replaceChildren(
      ...this.rows.map((tick) => {
        const row = document.createElement("tr");
        const cells = [`${time(tick.t)}${tick.late ? " late" : ""}`, price(tick.price, decimals), decimal(tick.size)];
        for (const text of cells) row.insertCell().textContent = text;
        if (tick.late) row.className = "late";
        if (tick.side) row.cells[1]!.className = tick.side === "buy" ? "up" : "down";
        return row;
      }),
    );
  }
}

function key({ t, price, size, trade_id }: Tick): string {
  return `${t}/${trade_id ?? ""}/${price}/${size}`;
}
