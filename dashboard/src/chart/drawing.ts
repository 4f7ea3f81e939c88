/** Draws candles and volume, as candlesticks, as Heikin-Ashi, or transparent beneath a line. */

import { CandlestickSeries, HistogramSeries, type AutoscaleInfo, type CandlestickData, type HistogramData, type IChartApi, type ISeriesApi, type Time, type UTCTimestamp } from "lightweight-charts";

import { heikinAshi, toBar, type Bar } from "../model/bars";
import type { Candle, SeriesStore } from "../model/candles";
import type { Style } from "../browser/settings";
import { color } from "../browser/theme";

/** Limit of the library: smaller price steps are not exact powers of ten in a double. */
export const MAX_DECIMALS = 12;
/** Alpha suffixes of colours for volume, and for candles not built from all trades. */
const [VOLUME, FAINT] = ["55", "70"];

export class CandleDrawing {
  readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  style: Style = "candles";

  constructor(chart: IChartApi, scale: (whole: AutoscaleInfo | null) => AutoscaleInfo | null) {
    this.candles = chart.addSeries(CandlestickSeries, {
      borderVisible: false,
      autoscaleInfoProvider: (whole: () => AutoscaleInfo | null) => scale(whole()),
    });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
    this.volume = chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  }

  /** Sets the smallest step of the price axis. Displayed prices keep all decimals. */
  setDecimals(decimals: number): void {
    const steps = Math.min(decimals, MAX_DECIMALS);
    this.candles.applyOptions({ priceFormat: { type: "price", precision: steps, minMove: 10 ** -steps } });
  }

  /** Draws all candles at their slots on the time axis. */
  draw(store: SeriesStore | undefined, places: number[]): void {
    const all = store?.all() ?? [];
    const bars = this.style === "heikin-ashi" ? heikinAshi(all) : all.map(toBar);
    const byTime = new Map(bars.map((each, n) => [each.t, this.styledBar(each, all[n]!)]));
    this.candles.setData(places.map((t) => byTime.get(t) ?? { time: seconds(t) }));
    this.volume.setData(all.map(volumeBar));
  }

  /** Draws an update of one candle. Returns false if the whole series must be redrawn. */
  update(candle: Candle, newest: boolean, store: SeriesStore): boolean {
    if (this.style !== "heikin-ashi") this.candles.update(this.styledBar(toBar(candle), candle), !newest);
    else if (newest) this.candles.update(this.styledBar(heikinAshi(store.all()).at(-1)!, candle));
    else return false;
    this.volume.update(volumeBar(candle), !newest);
    return true;
  }

  theme(): void {
    const [up, down] = this.colors;
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
  }

  private get colors(): [string, string] {
    return this.style === "line" ? ["transparent", "transparent"] : [color("--up"), color("--down")];
  }

  /** Builds a bar, faint if the candle is partial or from the venue. */
  private styledBar({ t, ...prices }: Bar, { partial, origin }: Candle): CandlestickData<Time> {
    const bar = { time: seconds(t), ...prices };
    if (this.style === "line" || (!partial && origin !== "venue")) return bar;
    const hue = `${this.colors[prices.close >= prices.open ? 0 : 1]}${FAINT}`;
    return { ...bar, color: hue, wickColor: hue };
  }
}

function volumeBar(candle: Candle): HistogramData<Time> {
  const name = Number(candle.c) >= Number(candle.o) ? "--up" : "--down";
  return { time: seconds(candle.t), value: Number(candle.v), color: `${color(name)}${VOLUME}` };
}

export function seconds(ms: number): UTCTimestamp {
  return (ms / 1000) as UTCTimestamp;
}
