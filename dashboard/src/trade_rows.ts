/** The last trades of a symbol, deduplicated and latest first by event time; cancelled and corrected ones are marked. */

import type { Bust, Tick } from "./live";

export const ROWS = 60;
const MARKED_MS = 1_000;
const MINUTE_MS = 60_000;

export interface Row extends Tick {
  late: boolean;
}

export class TradeRows {
  protected rows: Row[] = [];
  protected stale = true;

  get all(): readonly Row[] {
    return this.rows;
  }

  clear(): void {
    this.rows = [];
    this.stale = true;
  }

  /** Inserts a trade by event time. It is marked late if it is at least a second older than a trade received before it. */
  add(tick: Tick, late: boolean): void {
    if (tick.trade_id && this.rows.some((each) => key(each) === key(tick))) return; // already delivered by history
    const at = this.rows.findIndex((each) => each.t <= tick.t);
    const newest = this.rows[0] ?? tick;
    const row = { ...tick, late: late && newest.t - tick.t >= MARKED_MS && tick.received >= newest.received };
    this.rows.splice(at < 0 ? this.rows.length : at, 0, row);
    this.rows.length = Math.min(this.rows.length, ROWS);
    this.stale = true;
  }

  /** Marks a displayed trade as cancelled or corrected, and inserts the correction. */
  end({ trade_id, status, price, size, t }: Bust): void {
    const minute = (at: number): number => Math.floor(at / MINUTE_MS);
    const last = this.rows.find((each) => each.trade_id === trade_id && (t === null || minute(each.t) === minute(t)));
    if (!last) return;
    const words = this.rows.filter((each) => each.trade_id === trade_id && minute(each.t) === minute(last.t));
    const said = { ...last, price: price ?? last.price, size: size ?? last.size, mark: "correction" as const, late: false };
    const over = status === "corrected" ? words.filter((each) => key(each) !== key(said)) : words;
    for (const each of over) each.mark = status;
    if (status === "corrected" && over.length === words.length) {
      this.rows.splice(this.rows.indexOf(last), 0, said);
      this.rows.length = Math.min(this.rows.length, ROWS);
    }
    this.stale = true;
  }

  /** Merges trades from history, newest first, with the live ones. */
  fill(older: Tick[]): void {
    const known = new Map(this.rows.map((each) => [key(each), each]));
    for (const each of older) if (each.mark && known.has(key(each))) known.get(key(each))!.mark = each.mark;
    const added = older.filter((each) => !known.has(key(each))).map((each) => ({ ...each, late: false }));
    this.rows = [...this.rows, ...added].sort((a, b) => b.t - a.t).slice(0, ROWS);
    this.stale = true;
  }

  /** Whether the trade is displayed, by time and price, or is older than all displayed ones. */
  has({ t, price }: Pick<Tick, "t" | "price">): boolean {
    const isFull = this.rows.length === ROWS;
    return this.rows.some((each) => each.t === t && Number(each.price) === Number(price)) || (isFull && this.rows.at(-1)!.t > t);
  }
}

function key({ t, price, size, trade_id }: Tick): string {
  return `${t}/${trade_id ?? ""}/${price}/${size}`;
}
