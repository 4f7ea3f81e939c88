/** The last trades of a symbol, deduplicated and latest first by event time; cancelled and corrected ones are marked. */

import type { Bust, Tick } from "./messages";

export const MAX_ROWS = 60;
const LATE_MS = 1_000;
const MINUTE_MS = 60_000;

export interface Row extends Tick {
  late: boolean;
}

export class TradeRows {
  protected rows: Row[] = [];
  protected isDirty = true;

  get all(): readonly Row[] {
    return this.rows;
  }

  clear(): void {
    this.rows = [];
    this.isDirty = true;
  }

  /** Inserts a trade by event time. It is marked late if it is at least a second older than a trade received before it. */
  add(tick: Tick, late: boolean): void {
    if (tick.trade_id && this.rows.some((each) => key(each) === key(tick))) return; // already delivered by history
    const index = this.rows.findIndex((each) => each.t <= tick.t);
    const newest = this.rows[0] ?? tick;
    const row = { ...tick, late: late && newest.t - tick.t >= LATE_MS && tick.received >= newest.received };
    this.rows.splice(index < 0 ? this.rows.length : index, 0, row);
    this.rows.length = Math.min(this.rows.length, MAX_ROWS);
    this.isDirty = true;
  }

  /** Marks a displayed trade as cancelled or corrected, and inserts the correction. */
  applyBust({ trade_id, status, price, size, t }: Bust): void {
    const minute = (at: number): number => Math.floor(at / MINUTE_MS);
    const last = this.rows.find((each) => each.trade_id === trade_id && (t === null || minute(each.t) === minute(t)));
    if (!last) return;
    const rows = this.rows.filter((each) => each.trade_id === trade_id && minute(each.t) === minute(last.t));
    const correction = { ...last, price: price ?? last.price, size: size ?? last.size, mark: "correction" as const, late: false };
    const ended = status === "corrected" ? rows.filter((each) => key(each) !== key(correction)) : rows;
    for (const each of ended) each.mark = status;
    if (status === "corrected" && ended.length === rows.length) {
      this.rows.splice(this.rows.indexOf(last), 0, correction);
      this.rows.length = Math.min(this.rows.length, MAX_ROWS);
    }
    this.isDirty = true;
  }

  /** Merges trades from history, newest first, with the live ones. */
  merge(older: Tick[]): void {
    const byKey = new Map(this.rows.map((each) => [key(each), each]));
    for (const each of older) if (each.mark && byKey.has(key(each))) byKey.get(key(each))!.mark = each.mark;
    const added = older.filter((each) => !byKey.has(key(each))).map((each) => ({ ...each, late: false }));
    this.rows = [...this.rows, ...added].sort((a, b) => b.t - a.t).slice(0, MAX_ROWS);
    this.isDirty = true;
  }

  /** Whether the trade is displayed, by time and price, or is older than all displayed ones. */
  contains({ t, price }: Pick<Tick, "t" | "price">): boolean {
    const isFull = this.rows.length === MAX_ROWS;
    return this.rows.some((each) => each.t === t && Number(each.price) === Number(price)) || (isFull && this.rows.at(-1)!.t > t);
  }
}

function key({ t, price, size, trade_id }: Tick): string {
  return `${t}/${trade_id ?? ""}/${price}/${size}`;
}
