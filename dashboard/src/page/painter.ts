/** Draws the page: the price in each frame, other changes less often, elapsed times every second. */

import { setText } from "../browser/elements";
import { flags } from "../model/flags";
import { time } from "../model/format";
import { endOf } from "../model/interval";
import { describeAges } from "../model/freshness";
import { paintAge, paintCountdown, paintPrice } from "./header";
import { drawLegend } from "../chart/legend";
import type { Parts } from "./parts";
import { drawTooltip } from "../chart/tooltip";

export class Painter {
  /** Start of the candle under the pointer, if any. */
  hovered: number | undefined;

  constructor(private readonly parts: () => Parts) {}

  /** Draws the price, or everything if `all`. */
  draw(all: boolean): void {
    const { series, chart, market, tape, cards, connection } = this.parts();
    const instrument = market.get(series.symbol);
    if (series.symbol) paintPrice(instrument);
    if (!all) return;
    cards.paint(connection.clock.now);
    if (!series.symbol) return;
    const { store } = series;
    tape.paint(instrument.decimals);
    const candle = this.hovered === undefined ? store.last : store.get(this.hovered);
    const patterns = candle ? series.patternsAt(candle.t) : [];
    const candleFlags = candle ? flags(candle, store.corrected.has(candle.t), chart.outliers.includes(candle.t)) : [];
    drawLegend(this.hovered, candle, instrument.decimals, candleFlags, patterns);
    drawTooltip(candle, this.hovered === undefined ? null : chart.xOf(this.hovered), candleFlags, patterns);
  }

  drawClocks(): void {
    const { series, market, connection, playback, controller } = this.parts();
    const now = playback.isOn ? playback.replay.time : connection.clock.now;
    const { last, size } = series.store;
    setText("rate", `${controller.messages} messages/s`);
    setText("ages", playback.isOn ? "" : describeAges(connection.ages.trades, connection.ages.candles));
    setText("seam", last ? `${size} ${size === 1 ? "candle" : "candles"} to ${time(last.t)}` : "");
    controller.messages = 0;
    connection.update();
    paintAge(market.get(series.symbol), now);
    paintCountdown(last && endOf(series.timeframe, last.t), now);
  }
}
