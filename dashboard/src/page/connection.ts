/** The status pill: connection state and data lag. */

import { byId, setText } from "../browser/elements";
import { duration, time } from "../model/format";
import { ServerClock, Lag, PendingTrades, level, describeLag } from "../model/freshness";
import type { State } from "../server/live";
import type { Replay } from "../server/replay";

export class Connection {
  readonly clock = new ServerClock();
  private trades = new Lag();
  private candles = new Lag();
  private pending = new PendingTrades();
  private state: State = "connecting";
  private retryMs: number | undefined;

  constructor(private readonly replay: () => Replay) {}

  setState(state: State, retryMs?: number): void {
    [this.state, this.retryMs] = [state, retryMs];
    this.update();
  }

  /**
   * Records a live trade. `counted` is the time that a candle must reach to include it: receive time, or
   * event time (ms) for information bars.
   */
  addTrade(received: number, coveredAt = received): void {
    this.trades.add(received, this.clock.now);
    this.pending.addTrade(coveredAt);
  }

  addCandle(received: number | null): void {
    this.candles.add(received, this.clock.now);
    this.pending.addCandle(received);
  }

  /** Records an information bar, which includes all trades up to its `end` (ms). */
  addBar(end: number): void {
    this.pending.addCandle(end);
  }

  /** Resets the candle lag when another series is selected. */
  resetCandles(): void {
    [this.candles, this.pending] = [new Lag(), new PendingTrades()];
  }

  /** Resets the trade lag when another symbol is selected. */
  resetTrades(): void {
    this.trades = new Lag();
  }

  /** Data age in ms. The age of candles includes trades that no candle covers yet. */
  get ages(): { trades: number | undefined; candles: number | undefined } {
    const now = this.clock.now;
    const trades = this.trades.ageAt(now);
    const candles = this.candles.ageAt(now);
    const pending = trades === undefined ? undefined : this.pending.ageAt(now);
    return { trades, candles: pending === undefined ? candles : Math.max(candles ?? 0, pending) };
  }

  update(): void {
    const replay = this.replay();
    if (replay.isOn) {
      const pace = replay.state === "playing" ? `${replay.speed} ×` : replay.state;
      return this.setPill("replay", "good", `replay · ${pace} · ${time(replay.time)}`);
    }
    if (this.state !== "live")
      return this.setPill(this.state, "good", this.retryMs ? `reconnecting in ${duration(this.retryMs)}` : this.state);
    const { trades, candles } = this.ages;
    const text = describeLag(trades, candles) || (trades === undefined ? "quiet" : `trades ${Math.round(trades)} ms`);
    this.setPill("live", level(Math.max(trades ?? 0, candles ?? 0)), `live · ${text}`);
  }

  private setPill(name: string, age: string, text: string): void {
    const { dataset } = byId("connection");
    [dataset.state, dataset.age] = [name, age];
    setText("connection", text);
  }
}
