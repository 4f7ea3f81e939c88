/** The chart: candles, volume, indicators and marks (lightweight-charts). */

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  PriceScaleMode,
  TickMarkType,
  createChart,
  createSeriesMarkers,
  type AutoscaleInfo,
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
import { csv, heikinAshi, plain, save, type Bar } from "./bars";
import { dayOrTime, decimal, stamp } from "./format";
import { lines, type Kind, type Line, type Values } from "./indicators";
import { Lines } from "./lines";
import type { Pattern } from "./live";
import { axis } from "./outliers";
import { Profile } from "./profile";
import { chosen, label, marks, startOf, type Choice } from "./marks";
import type { Scale, Style } from "./settings";
import { color } from "./theme";

/** A young market is drawn at the right, in bars of the usual width. */
const SHORTEST = 60;
const PIXELS_A_CANDLE = 5;
const MOST_EMPTY = 30;
/** The library divides the axis no finer: beyond it a double is no power of ten. */
const MOST_DECIMALS = 12;

export class Chart {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly marks: ISeriesMarkersPluginApi<Time>;
  readonly lines: Lines;
  readonly profile = new Profile();
  /** Names of those that are drawn, those that there are, and what they say of each candle. */
  indicators: string[] = [];
  kinds: Kind[] = [];
  values: ReadonlyMap<number, Values> = new Map();
  private store: CandleStore | undefined;
  private style: Style = "candles";
  private timeframe = "";
  private patterns: Pattern[] = [];
  /** Which patterns are marked. */
  choice: Choice = "strong";
  private spacing = 0;
  /** A range that is asked for, and is seen with the next frame. */
  private target: { from: number; to: number } | undefined;
  /** Start of candles in view that reach beyond the price axis, ms. */
  outliers: number[] = [];
  /** Of the prices as they are written. */
  decimals = 0;
  /** Start of each place on the time axis, ms: candles, and empty places where time has a gap. */
  private places: number[] = [];

  constructor(
    private readonly box: HTMLElement,
    onHover: (t: number | undefined) => void,
    onOldest: () => void,
    onView: () => void,
  ) {
    this.chart = createChart(box, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: true, rightOffset: 4, minBarSpacing: 1, tickMarkFormatter: tick },
      localization: { timeFormatter: (time: Time) => stamp((time as number) * 1000) },
      rightPriceScale: { borderVisible: false },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, {
      borderVisible: false,
      autoscaleInfoProvider: (whole: () => AutoscaleInfo | null) => this.scale(whole()),
    });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.candles.attachPrimitive(this.profile);
    this.marks = createSeriesMarkers(this.candles, []);
    this.lines = new Lines(this.chart);
    this.chart.subscribeCrosshairMove(({ time }) =>
      onHover(time === undefined ? undefined : (time as number) * 1000),
    );
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      this.target = undefined;
      if (range && range.from < 10) onOldest();
      onView();
      // Names get more or less room.
      const spacing = this.chart.timeScale().options().barSpacing;
      if (Math.abs(spacing / this.spacing - 1) > 0.1) this.mark();
    });
    this.theme();
  }

  /** Draw another set of candles; `decimals` of its prices. */
  show(store: CandleStore, patterns: Pattern[], decimals: number, timeframe: string): void {
    const other = this.store !== store;
    this.store = store;
    this.patterns = patterns;
    [this.decimals, this.timeframe] = [decimals, timeframe];
    const all = store.all();
    const isNeverNegative = all.every(({ l }) => Number(l) >= 0);
    this.chart.applyOptions({
      localization: { priceFormatter: (value: number) => (value < 0 && isNeverNegative ? "" : decimal(value.toFixed(decimals))) },
    });
    const steps = Math.min(decimals, MOST_DECIMALS); // of the axis; prices are written whole
    this.candles.applyOptions({
      priceFormat: { type: "price", precision: steps, minMove: 10 ** -steps },
    });
    this.places = withGaps(all.map(({ t }) => t), LENGTH_MS[timeframe] ?? 0);
    this.setBars();
    this.volume.setData(all.map((each) => this.volumeBar(each)));
    this.drawLines();
    this.mark();
    if (other) {
      this.last(Math.min(150, Math.round(this.box.clientWidth / PIXELS_A_CANDLE)));
      requestAnimationFrame(() => this.mark()); // prices have their heights then
    }
  }

  /** Whether this set of candles is the one that is drawn. */
  shows(store: CandleStore): boolean {
    return store === this.store;
  }

  /** Whether the candle stands right behind the last one, or is drawn: else all is drawn anew. */
  follows({ t }: Candle, timeframe: string): boolean {
    const last = this.places[this.places.length - 1];
    return last === undefined || t <= last || t === last + (LENGTH_MS[timeframe] ?? 0);
  }

  /** Draw a change of one candle: the newest as it grows, an older one where it stands. */
  update(candle: Candle, newest: boolean): void {
    if (newest && candle.t > (this.places[this.places.length - 1] ?? -Infinity)) this.places.push(candle.t);
    if (this.style !== "heikin-ashi") this.candles.update(bar(plain(candle)), !newest);
    else if (newest) this.candles.update(bar(heikinAshi(this.store!.all()).at(-1)!));
    else this.setBars();
    if (this.style === "line") this.drawLines();
    this.volume.update(this.volumeBar(candle), !newest);
    if (!newest || !candle.complete) this.mark();
  }

  private setBars(): void {
    const all = this.store?.all() ?? [];
    const bars = new Map((this.style === "heikin-ashi" ? heikinAshi(all) : all.map(plain)).map((each) => [each.t, bar(each)]));
    this.candles.setData(this.places.map((t) => bars.get(t) ?? { time: seconds(t) }));
  }

  /** Draw candles, Heikin-Ashi, or a line of the closes. */
  setStyle(style: Style): void {
    this.style = style;
    this.theme();
    this.setBars();
  }

  setScale(scale: Scale): void {
    const mode = { linear: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage }[scale];
    this.candles.priceScale().applyOptions({ mode });
  }

  /** Write times in another zone. */
  setZone(): void {
    this.chart.applyOptions({ timeScale: { tickMarkFormatter: tick } });
  }

  /** Save what is seen, as a picture or as exact texts. */
  save(symbol: string, kind: "PNG" | "CSV"): void {
    const { view, store } = this;
    if (!view || !store) return;
    const name = `${symbol}-${this.timeframe}-${new Date(view.from).toISOString().slice(0, 16)}`;
    if (kind === "PNG") return this.chart.takeScreenshot().toBlob((made) => made && save(`${name}.png`, made));
    save(`${name}.csv`, new Blob([csv(store.all().filter(({ t }) => t >= view.from && t <= view.to))], { type: "text/csv" }));
  }

  /** Draw the chosen indicators anew. */
  drawLines(): void {
    const candles = this.store?.all() ?? [];
    const found: Line[] = lines(this.indicators, this.kinds, this.values, candles);
    if (this.style === "line")
      found.unshift({ name: "close", color: "--accent", pane: 0, points: candles.map(({ t, c }) => ({ t, value: Number(c) })) });
    this.lines.draw(found);
  }

  /** The time that is seen, ms since 1970: up to now and beyond where the newest candle is. */
  get view(): { from: number; to: number } | undefined {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const from = this.places[Math.max(0, Math.floor(range?.from ?? 0))];
    if (!range || from === undefined) return undefined;
    const last = Math.ceil(range.to);
    return { from, to: last >= this.places.length - 1 ? Infinity : this.places[Math.max(0, last)]! };
  }

  /** The lowest and the highest price that is seen, of candles. */
  get extent(): [number, number] {
    const { from, to } = this.view ?? { from: Infinity, to: -Infinity };
    const seen = this.store?.all().filter(({ t }) => t >= from && t <= to && !this.outliers.includes(t)) ?? [];
    return [Math.min(...seen.map(({ l }) => Number(l))), Math.max(...seen.map(({ h }) => Number(h)))];
  }

  /** The patterns that are marked. */
  chosen(): Pattern[] {
    return chosen(this.patterns, this.choice);
  }

  /** What is marked, of patterns, oldest first; browser tests read it. */
  marked(): string[] {
    return this.chosen().filter((each) => this.store?.get(startOf(each))).map(label);
  }

  /** Mark other patterns. */
  choose(choice: Choice): void {
    this.choice = choice;
    this.mark();
  }

  /** Mark patterns, corrected candles, and candles that touch a gap of their feed. */
  mark(patterns: Pattern[] = this.patterns): void {
    this.patterns = patterns;
    if (!this.store) return;
    this.spacing = this.chart.timeScale().options().barSpacing;
    const found = marks(this.store, this.chosen(), this.spacing, (price) => this.candles.priceToCoordinate(price) ?? 0, this.outliers);
    this.marks.setMarkers(
      found.map(({ t, above, shape, color: hue, text, small }): SeriesMarker<Time> => ({
        time: seconds(t),
        position: above ? "aboveBar" : "belowBar",
        shape,
        color: color(hue),
        text,
        size: small ? 0.6 : 0.9,
      })),
    );
  }

  /** Bring a candle into the middle. */
  centre(t: number): void {
    const at = this.places.indexOf(t);
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (at < 0 || !range) return;
    const half = (range.to - range.from) / 2;
    this.chart.timeScale().setVisibleLogicalRange({ from: at - half, to: at + half });
  }

  /** Move by a share of what is seen. */
  move(share: number): void {
    const range = this.range;
    if (!range) return;
    const by = (range.to - range.from) * share;
    this.see(range.from + by, range.to + by);
  }

  /** See so many times as much, up to the same end. */
  zoom(factor: number): void {
    const range = this.range;
    if (!range) return;
    const count = Math.min(2_000, Math.max(10, (range.to - range.from) * factor));
    this.see(range.to - count, range.to);
  }

  /** What is seen, or will be with the next frame: keys that come faster than frames add up. */
  private get range(): { from: number; to: number } | null {
    return this.target ?? this.chart.timeScale().getVisibleLogicalRange();
  }

  private see(from: number, to: number): void {
    this.target = { from, to };
    this.chart.timeScale().setVisibleLogicalRange(this.target);
  }

  /** Show the last `count` places. */
  last(count: number): void {
    const end = this.places.length;
    const from = Math.max(end - count, Math.min(0, end - SHORTEST));
    this.chart.timeScale().setVisibleLogicalRange({ from, to: end + 4 });
  }

  /** Show a span of time that ends with the newest candle, ms. */
  span(ms: number): void {
    const newest = this.places[this.places.length - 1];
    if (newest === undefined) return;
    const first = this.places.findIndex((t) => t > newest - ms);
    this.chart.timeScale().setVisibleLogicalRange({ from: first - 0.5, to: this.places.length + 1 });
  }

  /** Put the crosshair at the candle of a time, ms since 1970, or nowhere. */
  cross(t: number | undefined): void {
    const place = t === undefined ? undefined : this.places.findLast((each) => each <= t);
    const candle = place === undefined ? undefined : this.store?.get(place);
    if (candle) this.chart.setCrosshairPosition(Number(candle.c), seconds(candle.t), this.candles);
    else this.chart.clearCrosshairPosition();
  }

  close(): void {
    this.chart.remove();
  }

  /** Show the time in [from, to), ms since 1970. */
  seeTime(from: number, to: number): void {
    const first = this.places.findIndex((t) => t >= from);
    const last = this.places.findIndex((t) => t >= to);
    if (first >= 0) this.see(first, last < 0 ? this.places.length : last);
  }

  /** The price under the pointer, with as many decimals as prices have. */
  priceAt({ clientY }: MouseEvent): string | undefined {
    const price = this.candles.coordinateToPrice(clientY - this.box.getBoundingClientRect().top);
    return price === null ? undefined : (price as number).toFixed(this.decimals);
  }

  /** The price at the top of the chart. */
  get top(): number | null {
    return this.candles.coordinateToPrice(0);
  }

  /** How many places are empty, where time has a gap. */
  get gaps(): number {
    return this.places.length - (this.store?.size ?? 0);
  }

  /** What is drawn, as texts: for tests, and for whoever debugs. */
  drawn(): readonly unknown[] {
    return this.candles.data().filter((each) => "open" in each);
  }

  theme(): void {
    this.chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: color("--panel") },
        textColor: color("--muted"),
        panes: { separatorColor: color("--border") },
      },
      grid: { vertLines: { color: color("--grid") }, horzLines: { color: color("--grid") } },
      timeScale: { borderColor: color("--border") },
    });
    const isLine = this.style === "line"; // the candles are there for what is marked at them
    const [up, down] = isLine ? ["transparent", "transparent"] : [color("--up"), color("--down")];
    this.candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down });
    if (this.store) {
      this.volume.setData(this.store.all().map((each) => this.volumeBar(each)));
      this.drawLines();
      this.mark();
    }
  }

  /** The price axis: a print far off the market keeps off it, and is marked. */
  private scale(whole: AutoscaleInfo | null): AutoscaleInfo | null {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!whole || !range || !this.store) return whole;
    const seen = this.places.slice(Math.max(0, Math.floor(range.from)), Math.max(0, Math.ceil(range.to)));
    const found = axis(seen.map((t) => this.store!.get(t)).filter((each) => each !== undefined));
    const beyond = found?.beyond ?? [];
    if (beyond.join() !== this.outliers.join()) {
      this.outliers = beyond;
      queueMicrotask(() => this.mark());
    }
    return found ? { ...whole, priceRange: { minValue: found.from, maxValue: found.to } } : whole;
  }

  private volumeBar(candle: Candle): HistogramData<Time> {
    const name = Number(candle.c) >= Number(candle.o) ? "--up" : "--down";
    return { time: seconds(candle.t), value: Number(candle.v), color: `${color(name)}55` };
  }
}

/** Times with those between that have no candle; of a long gap a part, which tells enough. */
export function withGaps(times: number[], length: number): number[] {
  if (!length) return times;
  return times.flatMap((t, n) => {
    const before = times[n - 1];
    const missing = before === undefined ? 0 : Math.min(MOST_EMPTY, Math.round((t - before) / length) - 1);
    return [...Array.from({ length: Math.max(0, missing) }, (_, k) => t - (missing - k) * length), t];
  });
}

function bar({ t, ...prices }: Bar): CandlestickData<Time> {
  return { time: seconds(t), ...prices };
}

/** A label of the time axis; the axis divides time in UTC, whatever zone it is written in. */
function tick(time: Time, type: TickMarkType): string {
  const ms = (time as number) * 1000;
  return dayOrTime(ms, type === TickMarkType.Time || type === TickMarkType.TimeWithSeconds ? "time" : type === TickMarkType.DayOfMonth ? "day" : "month");
}

function seconds(ms: number): UTCTimestamp {
  return (ms / 1000) as UTCTimestamp;
}
