/** The status pill: connection state and data lag. */

import { at, write } from "./elements";
import { span, time } from "./format";
import { Clock, Lag, Pending, level, words } from "./freshness";
import type { State } from "./live";
import type { Replay } from "./replay";

export class Connection {
  readonly clock = new Clock();
  private trades = new Lag();
  private candles = new Lag();
  private pending = new Pending();
  private state: State = "connecting";
  private retryMs: number | undefined;

  constructor(private readonly replay: () => Replay) {}

  become(state: State, retryMs?: number): void {
    [this.state, this.retryMs] = [state, retryMs];
    this.show();
  }

  /**
   * Records a live trade. `counted` is the time that a candle must reach to include it: receive time, or
   * event time (ms) for information bars.
   */
  takeTrade(received: number, counted = received): void {
    this.trades.take(received, this.clock.now);
    this.pending.trade(counted);
  }

  takeCandle(received: number | null): void {
    this.candles.take(received, this.clock.now);
    this.pending.candle(received);
  }

  /** Records an information bar, which includes all trades up to its `end` (ms). */
  takeBar(end: number): void {
    this.pending.candle(end);
  }

  /** Resets the candle lag when another series is selected. */
  forgetCandles(): void {
    [this.candles, this.pending] = [new Lag(), new Pending()];
  }

  /** Resets the trade lag when another symbol is selected. */
  forgetTrades(): void {
    this.trades = new Lag();
  }

  /** Data age in ms. The age of candles includes trades that no candle covers yet. */
  get ages(): { trades: number | undefined; candles: number | undefined } {
    const now = this.clock.now;
    const trades = this.trades.at(now);
    const candles = this.candles.at(now);
    const missing = trades === undefined ? undefined : this.pending.at(now);
    return { trades, candles: missing === undefined ? candles : Math.max(candles ?? 0, missing) };
  }

  show(): void {
    const replay = this.replay();
    if (replay.on) {
      const pace = replay.state === "playing" ? `${replay.speed} ×` : replay.state;
      return this.pill("replay", "good", `replay · ${pace} · ${time(replay.time)}`);
    }
    if (this.state !== "live")
      return this.pill(this.state, "good", this.retryMs ? `reconnecting in ${span(this.retryMs)}` : this.state);
    const { trades, candles } = this.ages;
    const text = words(trades, candles) || (trades === undefined ? "quiet" : `trades ${Math.round(trades)} ms`);
    this.pill("live", level(Math.max(trades ?? 0, candles ?? 0)), `live · ${text}`);
  }

  private pill(name: string, age: string, text: string): void {
    const { dataset } = at("connection");
    [dataset.state, dataset.age] = [name, age];
    write("connection", text);
  }
}
