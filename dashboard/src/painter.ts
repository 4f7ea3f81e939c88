/** Draws the page: the price in each frame, other changes less often, elapsed times every second. */

import { write } from "./elements";
import { flags } from "./flags";
import { time } from "./format";
import { endOf } from "./frame";
import { ages } from "./freshness";
import { paintAge, paintCountdown, paintPrice } from "./header";
import { legend } from "./legend";
import type { Parts } from "./parts";
import { tip } from "./tip";

export class Painter {
  /** Start of the candle under the pointer, if any. */
  hovered: number | undefined;

  constructor(private readonly painted: () => Parts) {}

  /** Draws the price, or everything if `all`. */
  frame(all: boolean): void {
    const { series, chart, market, tape, cards, connection } = this.painted();
    const instrument = market.get(series.symbol);
    if (series.symbol) paintPrice(instrument);
    if (!all) return;
    cards.paint(connection.clock.now);
    if (!series.symbol) return;
    const { store } = series;
    tape.paint(instrument.decimals);
    const candle = this.hovered === undefined ? store.last : store.get(this.hovered);
    const found = candle ? series.patternsAt(candle.t) : [];
    const known = candle ? flags(candle, store.corrected.has(candle.t), chart.outliers.includes(candle.t)) : [];
    legend(this.hovered, candle, instrument.decimals, known, found);
    tip(candle, this.hovered === undefined ? null : chart.placeOf(this.hovered), known, found);
  }

  second(): void {
    const { series, market, connection, playback, desk } = this.painted();
    const now = playback.on ? playback.replay.time : connection.clock.now;
    const { last, size } = series.store;
    write("rate", `${desk.messages} messages/s`);
    write("ages", playback.on ? "" : ages(connection.ages.trades, connection.ages.candles));
    write("seam", last ? `${size} candles to ${time(last.t)}` : "");
    desk.messages = 0;
    connection.show();
    paintAge(market.get(series.symbol), now);
    paintCountdown(last && endOf(series.timeframe, last.t), now);
  }
}
