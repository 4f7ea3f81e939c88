/** Runs a replay on the page: loads history up to its start, then applies its messages. */

import { showNotice } from "../browser/elements";
import * as history from "../server/history";
import type { Live, LiveHandlers } from "../server/live";
import type { Market } from "../model/market";
import { Replay, type ReplayRequest } from "../server/replay";
import { ReplayBar } from "./replay_bar";
import type { Series } from "../chart/series";
import type { Tape } from "../lists/tape";
import { MAX_ROWS } from "../model/trade_rows";

export interface Dependencies {
  series: Series;
  tape: Tape;
  live: Live;
  market: Market;
  /** Current server time, ms since 1970. */
  now(): number;
  /** Whether another chart needs a channel. */
  panelsNeed(channel: string): boolean;
  onState(): void;
  onLive(): void;
}

export class Playback {
  readonly replay: Replay;
  private readonly bar: ReplayBar;

  constructor(url: string, handlers: Pick<LiveHandlers, "tick" | "candle" | "pattern">, private readonly deps: Dependencies) {
    this.replay = new Replay(url, handlers, (problem) => {
      if (problem) showNotice(`Replay failed: ${problem}`);
      this.bar.update();
      deps.onState();
    });
    this.bar = new ReplayBar(
      this.replay,
      (from, speed, by) => void this.play({ from, speed, by }),
      () => this.stop(),
      () => deps.now(),
    );
  }

  get isOn(): boolean {
    return this.replay.isOn;
  }

  /** Replays the newly selected series from the current position, at the same speed and in the same order. */
  restart(): Promise<void> {
    const { time, speed, by } = this.replay;
    return this.play({ from: Math.round(time), speed, by });
  }

  private async play({ from, speed, by }: Omit<ReplayRequest, "channels">): Promise<void> {
    const { series, tape, live, market } = this.deps;
    this.replay.prepare(from);
    live.unsubscribe(...series.channels.filter((each) => !this.deps.panelsNeed(each)));
    series.reset();
    tape.clear();
    market.get(series.symbol).resetTrade();
    const mine = series.store;
    const [trades] = await Promise.all([history.ticks(series.symbol, MAX_ROWS, from).catch(() => []), series.loadBefore(from)]);
    if (!this.isOn || mine !== series.store) return;
    tape.merge(trades);
    this.replay.start({ channels: [`ticks:${series.symbol}`, ...series.replayChannels], from, speed, by });
  }

  private stop(): void {
    if (!this.isOn) return;
    this.replay.stop();
    this.deps.onLive();
  }
}
