/** Draws what is known: with each frame what has changed, each second what passes with time. */

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
  /** The candle under the pointer, by its start; undefined: none is. */
  hovered: number | undefined;

  /** `painted`: as they are when it draws. */
  constructor(private readonly painted: () => Parts) {}

  frame(): void {
    const { series, chart, market, tape, cards, connection, soon } = this.painted();
    if (!cards.paint(connection.clock.now)) soon();
    if (!series.symbol) return;
    const { store, symbol } = series;
    const instrument = market.get(symbol);
    paintPrice(instrument);
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
