/** Applies symbol selection and live messages to the parts of the page. */

import { parseHash, formatHash } from "./address";
import { byId, setText } from "../browser/elements";
import { intervalTitle, isBarType } from "../model/interval";
import type { Parts } from "./parts";
import type { LiveCandle, Tick } from "../model/messages";

export class Controller {
  /** Messages since the last reading of the rate. */
  messages = 0;

  constructor(private readonly parts: () => Parts) {}

  /** Selects a symbol: loads history at once, and again once the feed has subscribed (see `Series.load`). */
  async select(symbol: string, timeframe = this.parts().series.timeframe): Promise<void> {
    const { live, playback, market, connection, series, trades, cards, watchlist, intervals, panelsNeed } = this.parts();
    if (symbol === series.symbol && timeframe === series.timeframe) return;
    const previous = series.symbol;
    live.unsubscribe(...series.channels.filter((each) => !panelsNeed(each)));
    series.select(symbol, timeframe);
    connection.resetCandles();
    watchlist.select(symbol, previous);
    const current = parseHash(location.hash, timeframe);
    if (!current.symbol) location.replace(formatHash(series));
    else if (current.symbol !== symbol || current.timeframe !== timeframe) location.hash = formatHash(series); // the back button returns to the previous chart
    document.title = `${symbol} · Kandle`;
    setText("title", symbol);
    byId("chart").setAttribute("aria-label", `Candles of ${symbol}, ${intervalTitle(timeframe)}`);
    cards.select(symbol);
    intervals.select(timeframe);
    if (playback.isOn) {
      market.get(previous).resetTrade();
      return playback.restart();
    }
    if (previous !== symbol) {
      connection.resetTrades();
      trades.select(symbol);
    }
    await this.reload();
  }

  /** Reloads the selected series. */
  async reload(): Promise<void> {
    const { live, series } = this.parts();
    series.reset();
    live.subscribe(...series.channels);
    await series.load();
  }

  /** Switches from a replay to live data. */
  goLive(): void {
    const { market, series, trades, watchlist } = this.parts();
    market.get(series.symbol).resetTrade();
    trades.select(series.symbol);
    void watchlist.poll();
    void this.reload();
  }

  /** Loads from history what changed before these channels were subscribed. */
  backfill(channels: string[]): void {
    const { playback, series, trades } = this.parts();
    if (playback.isOn) return;
    if (series.replayChannels.some((each) => channels.includes(each))) void series.load();
    if (channels.includes(`ticks:${series.symbol}`)) void trades.load();
  }

  /** Loads trades from history that the overview has and the feed did not deliver. */
  backfillMissed(): void {
    const { playback, market, series, tape, trades } = this.parts();
    const { last: price, t } = market.get(series.symbol);
    if (playback.isOn || !series.symbol || !price) return;
    if (series.isUnknown) void this.reload();
    else if (!tape.contains({ t, price })) {
      void trades.load({ t, price });
      void series.load();
    }
  }

  applyTick(tick: Tick, late: boolean, isSnapshot: boolean): void {
    const { playback, market, connection, series, trades, cards, scheduler } = this.parts();
    this.messages += 1;
    const isNew = !market.has(tick.symbol);
    market.applyTick(tick, late);
    if (isNew) cards.layout();
    if (tick.symbol !== series.symbol) return scheduler.requestSoon();
    scheduler.requestUrgent();
    if (isSnapshot) return playback.isOn ? undefined : trades.addSnapshot(tick);
    trades.add(tick, late);
    if (playback.isOn) return;
    connection.addTrade(tick.received, isBarType(series.timeframe) ? tick.t : undefined);
    if (series.isUnknown) void this.reload();
  }

  applyCandle(candle: LiveCandle, received: number | null, isSnapshot: boolean): void {
    const { playback, connection, series, scheduler } = this.parts();
    this.messages += 1;
    if (candle.symbol !== series.symbol || candle.timeframe !== series.timeframe) return;
    scheduler.requestSoon();
    if (!isSnapshot && !playback.isOn) {
      if (candle.end === undefined) connection.addCandle(received);
      else connection.addBar(candle.end);
    }
    series.applyCandle(candle);
  }
}
