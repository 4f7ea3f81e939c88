/** The chart: candles, volume, indicators and marks (lightweight-charts). Times are UTC. */

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  createChart,
  createSeriesMarkers,
  type CandlestickData,
  type HistogramData,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";

import { LENGTH_MS, type Candle, type CandleStore } from "./candles";
import { INDICATORS, type Point } from "./indicators";
import type { Pattern } from "./live";

/** A young market is drawn at the right, in bars of the usual width. */
const SHORTEST = 60;

export class Chart {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly marks: ISeriesMarkersPluginApi<Time>;
  private lines: ISeriesApi<"Line">[] = [];
  private indicators: string[] = [];
  private store: CandleStore | undefined;
  private patterns: Pattern[] = [];

  constructor(
    private readonly box: HTMLElement,
    onHover: (t: number | undefined) => void,
    onOldest: () => void,
  ) {
    this.chart = createChart(box, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: true, rightOffset: 4, minBarSpacing: 1 },
      rightPriceScale: { borderVisible: false },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.marks = createSeriesMarkers(this.candles, []);
    this.chart.subscribeCrosshairMove(({ time }) =>
      onHover(time === undefined ? undefined : (time as number) * 1000),
    );
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < 10) onOldest();
    });
    this.theme();
  }

  /** Draw another set of candles; `decimals` of its prices. */
  show(store: CandleStore, patterns: Pattern[], decimals: number): void {
    const other = this.store !== store;
    this.store = store;
    this.patterns = patterns;
    const all = store.all();
    this.candles.applyOptions({
      priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals },
    });
    this.candles.setData(all.map(bar));
    this.volume.setData(all.map((each) => this.volumeBar(each)));
    this.drawLines();
    this.mark();
    if (other) this.last(150);
  }

  /** Draw a change of one candle: the newest as it grows, an older one where it stands. */
  update(candle: Candle, newest: boolean): void {
    this.candles.update(bar(candle), !newest);
    this.volume.update(this.volumeBar(candle), !newest);
    if (!newest || !candle.complete) this.mark();
  }

  /** Draw the chosen indicators anew. */
  drawLines(chosen?: string[]): void {
    if (chosen) this.indicators = chosen;
    for (const each of this.lines) this.chart.removeSeries(each);
    const closes: Point[] = this.store?.all().map(({ t, c }) => ({ t, value: Number(c) })) ?? [];
    this.lines = this.indicators
      .flatMap((name) => INDICATORS[name]?.lines(closes) ?? [])
      .map(({ color, name, pane, points }) => {
        const series = this.chart.addSeries(
          LineSeries,
          { color: this.color(color), lineWidth: 1, title: pane > 0 ? name : "", priceLineVisible: false, lastValueVisible: pane > 0, crosshairMarkerVisible: false },
          pane,
        );
        series.setData(points.map(({ t, value }) => ({ time: seconds(t), value })));
        return series;
      });
    this.chart.panes()[1]?.setStretchFactor(0.25);
  }

  /** Texts of the marks, oldest first; browser tests read them. */
  marked(): string[] {
    return this.marks.markers().map(({ text }) => text ?? "");
  }

  /** Mark patterns, corrected candles, and candles that touch a gap of their feed. */
  mark(patterns: Pattern[] = this.patterns): void {
    this.patterns = patterns;
    const store = this.store;
    if (!store) return;
    const marks: SeriesMarker<Time>[] = [];
    for (const pattern of patterns) {
      const start = pattern.timestamp - LENGTH_MS[pattern.timeframe]!;
      if (!store.get(start)) continue;
      const down = pattern.direction < 0;
      const retracted = pattern.status === "retracted";
      marks.push({
        time: seconds(start),
        position: down ? "aboveBar" : "belowBar",
        shape: pattern.direction === 0 ? "circle" : down ? "arrowDown" : "arrowUp",
        color: this.color(retracted ? "--muted" : down ? "--down" : "--up"),
        text: retracted ? `✕ ${title(pattern)}` : `${title(pattern)} ${Math.round(pattern.confidence * 100)}%`,
      });
    }
    for (const t of store.corrected)
      marks.push({ time: seconds(t), position: "aboveBar", shape: "square", color: this.color("--warn"), text: "corrected", size: 0.6 });
    for (const { t, complete } of store.all())
      if (!complete)
        marks.push({ time: seconds(t), position: "belowBar", shape: "square", color: this.color("--warn"), text: "gap", size: 0.6 });
    marks.sort((a, b) => (a.time as number) - (b.time as number));
    this.marks.setMarkers(marks);
  }

  /** Show the last `count` candles. */
  last(count: number): void {
    const end = this.store?.size ?? 0;
    const from = Math.max(end - count, Math.min(0, end - SHORTEST));
    this.chart.timeScale().setVisibleLogicalRange({ from, to: end + 4 });
  }

  /** What is drawn, as texts: for tests, and for whoever debugs. */
  drawn(): readonly unknown[] {
    return this.candles.data();
  }

  theme(): void {
    this.chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: this.color("--panel") },
        textColor: this.color("--muted"),
        panes: { separatorColor: this.color("--border") },
      },
      grid: { vertLines: { color: this.color("--grid") }, horzLines: { color: this.color("--grid") } },
      timeScale: { borderColor: this.color("--border") },
    });
    const [up, down] = [this.color("--up"), this.color("--down")];
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    if (this.store) {
      this.volume.setData(this.store.all().map((each) => this.volumeBar(each)));
      this.drawLines();
      this.mark();
    }
  }

  private volumeBar(candle: Candle): HistogramData<Time> {
    const name = Number(candle.c) >= Number(candle.o) ? "--up" : "--down";
    return { time: seconds(candle.t), value: Number(candle.v), color: `${this.color(name)}55` };
  }

  private color(name: string): string {
    return getComputedStyle(this.box).getPropertyValue(name).trim();
  }
}

/** A pattern's name for people. */
export function title(pattern: Pattern): string {
  return pattern.pattern_type.replace(/^cdl_?/, "").replaceAll("_", " ");
}

function bar(candle: Candle): CandlestickData<Time> {
  return {
    time: seconds(candle.t),
    open: Number(candle.o),
    high: Number(candle.h),
    low: Number(candle.l),
    close: Number(candle.c),
  };
}

function seconds(ms: number): UTCTimestamp {
  return (ms / 1000) as UTCTimestamp;
}
