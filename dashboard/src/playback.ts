/** Runs a replay on the page: loads history up to its start, then applies its messages. */

import { notice } from "./elements";
import * as history from "./history";
import type { Live, Watch } from "./live";
import type { Market } from "./market";
import { Replay, type Wish } from "./replay";
import { ReplayBar } from "./replay_bar";
import type { Series } from "./series";
import type { Tape } from "./tape";
import { ROWS } from "./trade_rows";

export interface Played {
  series: Series;
  tape: Tape;
  live: Live;
  market: Market;
  /** Current server time, ms since 1970. */
  now(): number;
  /** Whether another chart needs a channel. */
  wants(channel: string): boolean;
  onState(): void;
  onLive(): void;
}

export class Playback {
  readonly replay: Replay;
  private readonly bar: ReplayBar;

  constructor(url: string, watch: Pick<Watch, "tick" | "candle" | "pattern">, private readonly played: Played) {
    this.replay = new Replay(url, watch, (problem) => {
      if (problem) notice(`No replay: ${problem}`);
      this.bar.show();
      played.onState();
    });
    this.bar = new ReplayBar(
      this.replay,
      (from, speed, by) => void this.play({ from, speed, by }),
      () => this.stop(),
      () => played.now(),
    );
  }

  get on(): boolean {
    return this.replay.on;
  }

  /** Replays the newly selected series from the current position, at the same speed and in the same order. */
  goOn(): Promise<void> {
    const { time, speed, by } = this.replay;
    return this.play({ from: Math.round(time), speed, by });
  }

  private async play({ from, speed, by }: Omit<Wish, "channels">): Promise<void> {
    const { series, tape, live, market } = this.played;
    this.replay.prepare(from);
    live.unsubscribe(...series.channels.filter((each) => !this.played.wants(each)));
    series.forget();
    tape.clear();
    market.get(series.symbol).rewind();
    const mine = series.store;
    const [trades] = await Promise.all([history.ticks(series.symbol, ROWS, from).catch(() => []), series.loadBefore(from)]);
    if (!this.on || mine !== series.store) return;
    tape.fill(trades);
    this.replay.start({ channels: [`ticks:${series.symbol}`, ...series.replayed], from, speed, by });
  }

  private stop(): void {
    if (!this.on) return;
    this.replay.stop();
    this.played.onLive();
  }
}
