/** Applies symbol selection and live messages to the parts of the page. */

import { read, written } from "./address";
import { at, write } from "./elements";
import { frameTitle, isBars } from "./frame";
import type { LiveCandle, Tick } from "./live";
import type { Parts } from "./parts";

export class Desk {
  /** Messages since the last reading of the rate. */
  messages = 0;

  constructor(private readonly parts: () => Parts) {}

  /** Selects a symbol: loads history at once, and again once the feed has subscribed (see `Series.load`). */
  async choose(symbol: string, timeframe = this.parts().series.timeframe): Promise<void> {
    const { live, playback, market, connection, series, trades, cards, watchlist, frames, wants } = this.parts();
    if (symbol === series.symbol && timeframe === series.timeframe) return;
    const before = series.symbol;
    live.unsubscribe(...series.channels.filter((each) => !wants(each)));
    series.choose(symbol, timeframe);
    connection.forgetCandles();
    watchlist.follow(symbol, before);
    const named = read(location.hash, timeframe);
    if (!named.symbol) location.replace(written(series));
    else if (named.symbol !== symbol || named.timeframe !== timeframe) location.hash = written(series); // the back button returns to the previous chart
    document.title = `${symbol} · Kandle`;
    write("title", symbol);
    at("chart").setAttribute("aria-label", `Candles of ${symbol}, ${frameTitle(timeframe)}`);
    cards.choose(symbol);
    frames.show(timeframe);
    if (playback.on) {
      market.get(before).rewind();
      return playback.goOn();
    }
    if (before !== symbol) {
      connection.forgetTrades();
      trades.choose(symbol);
    }
    await this.reload();
  }

  /** Reloads the selected series. */
  async reload(): Promise<void> {
    const { live, series } = this.parts();
    series.forget();
    live.subscribe(...series.channels);
    await series.load();
  }

  /** Switches from a replay to live data. */
  goLive(): void {
    const { market, series, trades, watchlist } = this.parts();
    market.get(series.symbol).rewind();
    trades.choose(series.symbol);
    void watchlist.read();
    void this.reload();
  }

  /** Loads from history what changed before these channels were subscribed. */
  fill(channels: string[]): void {
    const { playback, series, trades } = this.parts();
    if (playback.on) return;
    if (series.channels.some((each) => channels.includes(each))) void series.load();
    if (channels.includes(`ticks:${series.symbol}`)) void trades.fill();
  }

  /** Loads trades from history that the overview has and the feed did not deliver. */
  heal(): void {
    const { playback, market, series, tape, trades } = this.parts();
    const { last: price, t } = market.get(series.symbol);
    if (playback.on || !series.symbol || !price) return;
    if (series.unknown) void this.reload();
    else if (!tape.has({ t, price })) {
      void trades.fill({ t, price });
      void series.load();
    }
  }

  takeTick(tick: Tick, late: boolean, known: boolean): void {
    const { playback, market, connection, series, trades, cards, painting } = this.parts();
    this.messages += 1;
    const isNew = !market.has(tick.symbol);
    market.tick(tick, late);
    if (isNew) cards.lay();
    if (tick.symbol !== series.symbol) return painting.soon();
    painting.urgent();
    if (known) return playback.on ? undefined : trades.know(tick);
    trades.take(tick, late);
    if (playback.on) return;
    connection.takeTrade(tick.received, isBars(series.timeframe) ? tick.t : undefined);
    if (series.unknown) void this.reload();
  }

  takeCandle(candle: LiveCandle, received: number | null, known: boolean): void {
    const { playback, connection, series, painting } = this.parts();
    this.messages += 1;
    if (candle.symbol !== series.symbol || candle.timeframe !== series.timeframe) return;
    painting.soon();
    if (!known && !playback.on) {
      if (candle.end === undefined) connection.takeCandle(received);
      else connection.takeBar(candle.end);
    }
    series.follow(candle);
  }
}
