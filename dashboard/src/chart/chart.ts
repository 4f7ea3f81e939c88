/** The chart: candles, volume, indicators and markers, drawn with lightweight-charts. */

import { ColorType, CrosshairMode, PriceScaleMode, TickMarkType, createChart, createSeriesMarkers, type AutoscaleInfo, type IChartApi, type ISeriesMarkersPluginApi, type SeriesMarker, type Time } from "lightweight-charts";

import { toCsv, download } from "../model/bars";
import type { Candle, SeriesStore } from "../model/candles";
import { CandleDrawing, MAX_DECIMALS, seconds } from "./drawing";
import { axisNumber, axisTime, dateTime } from "../model/format";
import { intervalTitle, lengthOf } from "../model/interval";
import { indicatorLines, type Kind, type Line, type Values } from "../model/indicators";
import { Lines } from "./lines";
import { priceAxis } from "../model/outliers";
import { renderPicture } from "./screenshot";
import { Profile } from "./profile";
import { markers } from "./markers";
import type { Scale, Style } from "../browser/settings";
import { color } from "../browser/theme";
import { TimeView, withEmptySlots, type Range } from "./time_view";
import type { Pattern } from "../model/messages";
import { DEFAULT_FILTER, type Filter, lastCandleStart, patternLabel, selectPatterns } from "../model/patterns";

const NEAR_START = 10;
const SPACING_CHANGE = 0.1;
/** Maximum distance in pixels at which a line counts as under the pointer. */
const HIT_PX = 5;
const RULE_DIGITS = 4;

export class Chart {
  private readonly chart: IChartApi;
  private readonly drawing: CandleDrawing;
  private readonly markers: ISeriesMarkersPluginApi<Time>;
  readonly view: TimeView;
  readonly lines: Lines;
  readonly profile = new Profile();
  /** The drawn indicators, all available ones, and their values by candle time. */
  indicators: string[] = [];
  kinds: Kind[] = [];
  values: ReadonlyMap<number, Values> = new Map();
  private store: SeriesStore | undefined;
  private timeframe = "";
  private patterns: Pattern[] = [];
  filter: Filter = DEFAULT_FILTER;
  private spacing = 0;
  private hovered: number | undefined;
  /** Start times (ms) of visible candles that extend beyond the price axis. */
  outliers: number[] = [];
  /** Decimals of displayed prices. */
  decimals = 0;

  constructor(
    private readonly box: HTMLElement,
    onHover: (t: number | undefined) => void,
    private readonly onNearStart: () => void,
    private readonly onRangeChanged: () => void,
  ) {
    this.chart = createChart(box, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      layout: { attributionLogo: false }, // attribution is in the keys and settings sheet
      timeScale: { timeVisible: true, rightOffset: 4, minBarSpacing: 1, tickMarkFormatter: tickLabel },
      localization: { timeFormatter: (time: Time) => dateTime((time as number) * 1000) },
      rightPriceScale: { borderVisible: false },
    });
    this.drawing = new CandleDrawing(this.chart, (whole) => this.autoscale(whole));
    this.drawing.candles.attachPrimitive(this.profile);
    this.markers = createSeriesMarkers(this.drawing.candles, []);
    this.lines = new Lines(this.chart);
    this.view = new TimeView(this.chart, box, (range) => this.onRangeChange(range));
    // Converting ms to seconds and back is inexact, so the time is looked up by its index.
    this.chart.subscribeCrosshairMove(({ time, logical }) => {
      this.showValues(time === undefined || logical === undefined ? undefined : this.view.slots[logical]);
      onHover(this.hovered);
    });
    this.theme();
  }

  /** Draws a series with prices of `decimals` decimals, and scrolls to its end if it is another one. */
  setData(store: SeriesStore, patterns: Pattern[], decimals: number, timeframe: string): void {
    const isOther = this.store !== store;
    [this.store, this.patterns, this.decimals, this.timeframe] = [store, patterns, decimals, timeframe];
    this.drawing.setDecimals(decimals);
    this.view.slots = withEmptySlots(store.all().map(({ t }) => t), lengthOf(timeframe));
    this.setNumbers();
    this.drawing.draw(store, this.view.slots);
    this.drawLines();
    this.updateMarkers();
    this.box.ariaBusy = "false";
    if (isOther) {
      this.view.showNewest();
      requestAnimationFrame(() => this.updateMarkers()); // prices have coordinates by then
    }
  }

  /** Hides the drawn series, soon, until the next `setData`: its prices are another series'. */
  showLoading(): void {
    this.box.ariaBusy = "true";
  }

  /** Whether this store is the drawn one. */
  isShowing(store: SeriesStore): boolean {
    return store === this.store;
  }

  /** Whether a candle is already drawn or directly follows the last one. If not, the whole series must be redrawn. */
  isContiguous({ t }: Candle, timeframe: string): boolean {
    const last = this.view.newest;
    const length = lengthOf(timeframe);
    return last === undefined || t <= last || !length || t === last + length;
  }

  /** Draws an update of one candle: the growing newest one, or an older one in place. */
  update(candle: Candle, newest: boolean): void {
    if (newest && candle.t > (this.view.newest ?? -Infinity)) this.view.slots.push(candle.t);
    if (!this.drawing.update(candle, newest, this.store!)) this.drawing.draw(this.store, this.view.slots);
    if (this.drawing.style === "line") this.drawLines();
    if (!newest || !candle.complete) this.updateMarkers();
  }

  /** Sets the chart style: candles, Heikin-Ashi, or a line of the closes. */
  setStyle(style: Style): void {
    this.drawing.style = style;
    this.theme();
  }

  setScale(scale: Scale): void {
    const mode = { linear: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage }[scale];
    this.drawing.candles.priceScale().applyOptions({ mode });
  }

  /** Redraws the axes after a change of time zone or number format. */
  redraw(): void {
    this.chart.applyOptions({ timeScale: { tickMarkFormatter: tickLabel } });
    this.setNumbers();
  }

  private setNumbers(): void {
    const decimals = Math.min(this.decimals, MAX_DECIMALS);
    const isNeverNegative = this.store?.all().every(({ l }) => Number(l) >= 0) ?? true;
    this.chart.applyOptions({
      localization: { priceFormatter: (value: number) => (value < 0 && isNeverNegative ? "" : axisNumber(value, decimals)) },
    });
  }

  /** Downloads the visible range as a PNG image or as CSV with exact decimals. */
  save(symbol: string, kind: "PNG" | "CSV"): void {
    const { store } = this;
    const view = this.view.timeRange;
    if (!view || !store || this.box.ariaBusy === "true") return;
    const name = `${symbol}-${this.timeframe}-${new Date(view.from).toISOString().slice(0, 16)}`;
    if (kind === "PNG") return renderPicture(this.chart.takeScreenshot(), this.box, `${symbol} ${intervalTitle(this.timeframe)}`).toBlob((made) => made && download(`${name}.png`, made));
    download(`${name}.csv`, new Blob([toCsv(store.all().filter(({ t }) => t >= view.from && t <= view.to))], { type: "text/csv" }));
  }

  /** Redraws the selected indicators. */
  drawLines(): void {
    const candles = this.store?.all() ?? [];
    const result: Line[] = indicatorLines(this.indicators, this.kinds, this.values, candles);
    if (this.drawing.style === "line")
      result.unshift({ name: "close", indicator: "close", color: "--accent", pane: 0, points: candles.map(({ t, c }) => ({ t, value: Number(c) })) });
    this.lines.draw(result);
    this.showValues(this.hovered);
  }

  /** Displays the indicator values at a candle, by default the newest one. */
  private showValues(t: number | undefined): void {
    this.hovered = t;
    this.lines.showValues(t ?? this.store?.last?.t, this.decimals);
  }

  /** The lowest and highest price of the visible candles, without outliers. */
  get priceRange(): [number, number] {
    const { from, to } = this.view.timeRange ?? { from: Infinity, to: -Infinity };
    const visible = this.store?.all().filter(({ t }) => t >= from && t <= to && !this.outliers.includes(t)) ?? [];
    return [Math.min(...visible.map(({ l }) => Number(l))), Math.max(...visible.map(({ h }) => Number(h)))];
  }

  /** Returns the marked patterns. */
  markedPatterns(): Pattern[] {
    return selectPatterns(this.patterns, this.filter);
  }

  /** Returns the labels of the marked patterns, oldest first. For browser tests. */
  markedLabels(): string[] {
    return this.markedPatterns().filter((each) => this.store?.get(lastCandleStart(each))).map(patternLabel);
  }

  /** Sets the markers for patterns, corrected candles and gaps in the feed. */
  updateMarkers(patterns: Pattern[] = this.patterns): void {
    this.patterns = patterns;
    if (!this.store) return;
    this.spacing = this.view.spacing;
    const coordinates = { x: (t: number) => this.xOf(t), y: (price: number) => this.drawing.candles.priceToCoordinate(price) ?? 0, width: this.chart.timeScale().width() };
    const result = markers(this.store, this.markedPatterns(), this.spacing, coordinates, this.outliers);
    this.markers.setMarkers(
      result.map(({ t, above, shape, color: hue, text, small }): SeriesMarker<Time> => ({
        time: seconds(t),
        position: above ? "aboveBar" : "belowBar",
        shape,
        color: color(hue),
        text,
        size: small ? 0.6 : 0.9,
      })),
    );
  }

  /** Moves the crosshair to the candle at a time (ms since 1970), or hides it. */
  setCrosshair(t: number | undefined): void {
    const slot = t === undefined ? undefined : this.view.slots.findLast((each) => each <= t);
    const candle = slot === undefined ? undefined : this.store?.get(slot);
    this.showValues(candle?.t);
    if (candle) this.chart.setCrosshairPosition(Number(candle.c), seconds(candle.t), this.drawing.candles);
    else this.chart.clearCrosshairPosition();
  }

  /** Removes the chart. Pending frames draw nothing. */
  close(): void {
    this.store = undefined;
    this.lines.close();
    this.chart.remove();
  }

  /** Suggests an alert condition for a click: on the price, on an overlay near it, or on the indicator in its pane. */
  conditionAt({ clientY }: MouseEvent): string | undefined {
    const rects = this.chart.panes().map((each) => each.getHTMLElement()!.getBoundingClientRect());
    const pane = rects.findIndex(({ top, bottom }) => clientY >= top && clientY < bottom);
    if (pane < 0) return undefined;
    const y = clientY - rects[pane]!.top;
    const near = this.lines.nearest(pane, this.hovered ?? this.store?.last?.t, y);
    if (pane) return near && `${near.column} crosses ${Number(near.value.toPrecision(RULE_DIGITS))}`;
    const price = this.drawing.candles.coordinateToPrice(y);
    return `close crosses ${near && near.distance < HIT_PX ? near.column : price?.toFixed(this.decimals)}`;
  }

  /** Returns the x coordinate of a candle in pixels, or null if it is not drawn. */
  xOf(t: number): number | null {
    return this.chart.timeScale().timeToCoordinate(seconds(t));
  }

  /** The price at the chart's top edge. */
  get topPrice(): number | null {
    return this.drawing.candles.coordinateToPrice(0);
  }

  /** Number of empty slots on the time axis, where candles are missing. */
  get emptySlots(): number {
    return this.view.slots.length - (this.store?.size ?? 0);
  }

  /** Returns the drawn bars. For tests and debugging. */
  drawnBars(): readonly unknown[] {
    return this.drawing.candles.data().filter((each) => "open" in each);
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
    this.drawing.theme();
    if (!this.store) return;
    this.drawing.draw(this.store, this.view.slots);
    this.drawLines();
    this.updateMarkers();
  }

  private onRangeChange(range: Range | null): void {
    if (range && range.from < NEAR_START) this.onNearStart();
    this.onRangeChanged();
    // Labels have more or less room.
    if (Math.abs(this.view.spacing / this.spacing - 1) > SPACING_CHANGE) this.updateMarkers();
  }

  /** Scales the price axis without outliers, which get a marker instead. */
  private autoscale(whole: AutoscaleInfo | null): AutoscaleInfo | null {
    if (!whole || !this.store) return whole;
    const axis = priceAxis(this.view.visibleSlots.map((t) => this.store!.get(t)).filter((each) => each !== undefined));
    const outliers = axis?.outliers ?? [];
    if (outliers.join() !== this.outliers.join()) {
      this.outliers = outliers;
      queueMicrotask(() => this.updateMarkers());
    }
    return axis ? { ...whole, priceRange: { minValue: axis.from, maxValue: axis.to } } : whole;
  }
}

/** Formats a label of the time axis. The axis is divided in UTC, whatever the display time zone. */
function tickLabel(time: Time, type: TickMarkType): string {
  const ms = (time as number) * 1000;
  if (type === TickMarkType.TimeWithSeconds) return axisTime(ms, "second");
  return axisTime(ms, type === TickMarkType.Time ? "time" : type === TickMarkType.DayOfMonth ? "day" : "month");
}
