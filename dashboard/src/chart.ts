/** The chart: candles, volume, indicators and markers, drawn with lightweight-charts. */

import { ColorType, CrosshairMode, PriceScaleMode, TickMarkType, createChart, createSeriesMarkers, type AutoscaleInfo, type IChartApi, type ISeriesMarkersPluginApi, type SeriesMarker, type Time } from "lightweight-charts";

import { csv, save } from "./bars";
import type { Candle, Stored } from "./candles";
import { Drawing, seconds } from "./drawing";
import { axisNumber, dayOrTime, stamp } from "./format";
import { frameTitle, lengthOf } from "./frame";
import { lines, type Kind, type Line, type Values } from "./indicators";
import { Lines } from "./lines";
import type { Pattern } from "./live";
import { axis } from "./outliers";
import { picture } from "./picture";
import { Profile } from "./profile";
import { EVERY_KIND, chosen, label, marks, startOf, type Filter } from "./marks";
import type { Scale, Style } from "./settings";
import { color } from "./theme";
import { TimeView, withGaps, type Range } from "./time_view";

const LEFT = 10;
const OTHER_SPACING = 0.1;
/** Maximum distance in pixels at which a line counts as under the pointer. */
const NEAR = 5;
const RULE_DIGITS = 4;

export class Chart {
  private readonly chart: IChartApi;
  private readonly drawing: Drawing;
  private readonly marks: ISeriesMarkersPluginApi<Time>;
  readonly view: TimeView;
  readonly lines: Lines;
  readonly profile = new Profile();
  /** The drawn indicators, all available ones, and their values by candle time. */
  indicators: string[] = [];
  kinds: Kind[] = [];
  values: ReadonlyMap<number, Values> = new Map();
  private store: Stored | undefined;
  private timeframe = "";
  private patterns: Pattern[] = [];
  filter: Filter = EVERY_KIND;
  private spacing = 0;
  private hovered: number | undefined;
  /** Start times (ms) of visible candles that extend beyond the price axis. */
  outliers: number[] = [];
  /** Decimals of displayed prices. */
  decimals = 0;

  constructor(
    private readonly box: HTMLElement,
    onHover: (t: number | undefined) => void,
    private readonly onOldest: () => void,
    private readonly onView: () => void,
  ) {
    this.chart = createChart(box, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      layout: { attributionLogo: false }, // attribution is in the keys and settings sheet
      timeScale: { timeVisible: true, rightOffset: 4, minBarSpacing: 1, tickMarkFormatter: tick },
      localization: { timeFormatter: (time: Time) => stamp((time as number) * 1000) },
      rightPriceScale: { borderVisible: false },
    });
    this.drawing = new Drawing(this.chart, (whole) => this.scale(whole));
    this.drawing.candles.attachPrimitive(this.profile);
    this.marks = createSeriesMarkers(this.drawing.candles, []);
    this.lines = new Lines(this.chart);
    this.view = new TimeView(this.chart, box, (range) => this.moved(range));
    // Converting ms to seconds and back is inexact, so the time is looked up by its index.
    this.chart.subscribeCrosshairMove(({ time, logical }) => {
      this.write(time === undefined || logical === undefined ? undefined : this.view.places[logical]);
      onHover(this.hovered);
    });
    this.theme();
  }

  /** Draws a series with prices of `decimals` decimals, and scrolls to its end if it is another one. */
  show(store: Stored, patterns: Pattern[], decimals: number, timeframe: string): void {
    const other = this.store !== store;
    [this.store, this.patterns, this.decimals, this.timeframe] = [store, patterns, decimals, timeframe];
    this.drawing.setDecimals(decimals);
    this.view.places = withGaps(store.all().map(({ t }) => t), lengthOf(timeframe));
    this.setNumbers();
    this.drawing.draw(store, this.view.places);
    this.drawLines();
    this.mark();
    if (other) {
      this.view.newestOnes();
      requestAnimationFrame(() => this.mark()); // prices have coordinates by then
    }
  }

  /** Whether this store is the drawn one. */
  shows(store: Stored): boolean {
    return store === this.store;
  }

  /** Whether a candle is already drawn or directly follows the last one. If not, the whole series must be redrawn. */
  follows({ t }: Candle, timeframe: string): boolean {
    const last = this.view.newest;
    const length = lengthOf(timeframe);
    return last === undefined || t <= last || !length || t === last + length;
  }

  /** Draws an update of one candle: the growing newest one, or an older one in place. */
  update(candle: Candle, newest: boolean): void {
    if (newest && candle.t > (this.view.newest ?? -Infinity)) this.view.places.push(candle.t);
    if (!this.drawing.update(candle, newest, this.store!)) this.drawing.draw(this.store, this.view.places);
    if (this.drawing.style === "line") this.drawLines();
    if (!newest || !candle.complete) this.mark();
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
    this.chart.applyOptions({ timeScale: { tickMarkFormatter: tick } });
    this.setNumbers();
  }

  private setNumbers(): void {
    const { decimals } = this;
    const isNeverNegative = this.store?.all().every(({ l }) => Number(l) >= 0) ?? true;
    this.chart.applyOptions({
      localization: { priceFormatter: (value: number) => (value < 0 && isNeverNegative ? "" : axisNumber(value, decimals)) },
    });
  }

  /** Downloads the visible range as a PNG image or as CSV with exact decimals. */
  save(symbol: string, kind: "PNG" | "CSV"): void {
    const { store } = this;
    const view = this.view.time;
    if (!view || !store) return;
    const name = `${symbol}-${this.timeframe}-${new Date(view.from).toISOString().slice(0, 16)}`;
    if (kind === "PNG") return picture(this.chart.takeScreenshot(), this.box, `${symbol} ${frameTitle(this.timeframe)}`).toBlob((made) => made && save(`${name}.png`, made));
    save(`${name}.csv`, new Blob([csv(store.all().filter(({ t }) => t >= view.from && t <= view.to))], { type: "text/csv" }));
  }

  /** Redraws the selected indicators. */
  drawLines(): void {
    const candles = this.store?.all() ?? [];
    const found: Line[] = lines(this.indicators, this.kinds, this.values, candles);
    if (this.drawing.style === "line")
      found.unshift({ name: "close", of: "close", color: "--accent", pane: 0, points: candles.map(({ t, c }) => ({ t, value: Number(c) })) });
    this.lines.draw(found);
    this.write(this.hovered);
  }

  /** Displays the indicator values at a candle, by default the newest one. */
  private write(t: number | undefined): void {
    this.hovered = t;
    this.lines.write(t ?? this.store?.last?.t, this.decimals);
  }

  /** The lowest and highest price of the visible candles, without outliers. */
  get extent(): [number, number] {
    const { from, to } = this.view.time ?? { from: Infinity, to: -Infinity };
    const seen = this.store?.all().filter(({ t }) => t >= from && t <= to && !this.outliers.includes(t)) ?? [];
    return [Math.min(...seen.map(({ l }) => Number(l))), Math.max(...seen.map(({ h }) => Number(h)))];
  }

  /** Returns the marked patterns. */
  chosen(): Pattern[] {
    return chosen(this.patterns, this.filter);
  }

  /** Returns the labels of the marked patterns, oldest first. For browser tests. */
  marked(): string[] {
    return this.chosen().filter((each) => this.store?.get(startOf(each))).map(label);
  }

  /** Sets the markers for patterns, corrected candles and gaps in the feed. */
  mark(patterns: Pattern[] = this.patterns): void {
    this.patterns = patterns;
    if (!this.store) return;
    this.spacing = this.view.spacing;
    const places = { x: (t: number) => this.placeOf(t), y: (price: number) => this.drawing.candles.priceToCoordinate(price) ?? 0, width: this.chart.timeScale().width() };
    const found = marks(this.store, this.chosen(), this.spacing, places, this.outliers);
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

  /** Moves the crosshair to the candle at a time (ms since 1970), or hides it. */
  cross(t: number | undefined): void {
    const place = t === undefined ? undefined : this.view.places.findLast((each) => each <= t);
    const candle = place === undefined ? undefined : this.store?.get(place);
    this.write(candle?.t);
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
    const places = this.chart.panes().map((each) => each.getHTMLElement()!.getBoundingClientRect());
    const pane = places.findIndex(({ top, bottom }) => clientY >= top && clientY < bottom);
    if (pane < 0) return undefined;
    const y = clientY - places[pane]!.top;
    const near = this.lines.near(pane, this.hovered ?? this.store?.last?.t, y);
    if (pane) return near && `${near.column} crosses ${Number(near.value.toPrecision(RULE_DIGITS))}`;
    const price = this.drawing.candles.coordinateToPrice(y);
    return `close crosses ${near && near.off < NEAR ? near.column : price?.toFixed(this.decimals)}`;
  }

  /** Returns the x coordinate of a candle in pixels, or null if it is not drawn. */
  placeOf(t: number): number | null {
    return this.chart.timeScale().timeToCoordinate(seconds(t));
  }

  /** The price at the chart's top edge. */
  get top(): number | null {
    return this.drawing.candles.coordinateToPrice(0);
  }

  /** Number of empty slots on the time axis, where candles are missing. */
  get gaps(): number {
    return this.view.places.length - (this.store?.size ?? 0);
  }

  /** Returns the drawn bars. For tests and debugging. */
  drawn(): readonly unknown[] {
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
    this.drawing.draw(this.store, this.view.places);
    this.drawLines();
    this.mark();
  }

  private moved(range: Range | null): void {
    if (range && range.from < LEFT) this.onOldest();
    this.onView();
    // Labels have more or less room.
    if (Math.abs(this.view.spacing / this.spacing - 1) > OTHER_SPACING) this.mark();
  }

  /** Scales the price axis without outliers, which get a marker instead. */
  private scale(whole: AutoscaleInfo | null): AutoscaleInfo | null {
    if (!whole || !this.store) return whole;
    const found = axis(this.view.seen.map((t) => this.store!.get(t)).filter((each) => each !== undefined));
    const beyond = found?.beyond ?? [];
    if (beyond.join() !== this.outliers.join()) {
      this.outliers = beyond;
      queueMicrotask(() => this.mark());
    }
    return found ? { ...whole, priceRange: { minValue: found.from, maxValue: found.to } } : whole;
  }
}

/** Formats a label of the time axis. The axis is divided in UTC, whatever the display time zone. */
function tick(time: Time, type: TickMarkType): string {
  const ms = (time as number) * 1000;
  if (type === TickMarkType.TimeWithSeconds) return dayOrTime(ms, "second");
  return dayOrTime(ms, type === TickMarkType.Time ? "time" : type === TickMarkType.DayOfMonth ? "day" : "month");
}
