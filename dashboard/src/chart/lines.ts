/** Draws indicator lines, over the candles and in panes below, with their values. */

import { HistogramSeries, LineSeries, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";

import { createLabel } from "../browser/elements";
import { axisNumber } from "../model/format";
import type { Line } from "../model/indicators";
import { color } from "../browser/theme";

const PANE_STRETCH = 0.3;
const MARGINS = { top: 0.3, bottom: 0.08 };
const MIN_DIGITS = 2;

export class Lines {
  private series: ISeriesApi<"Line" | "Histogram">[] = [];
  /** The header of each pane, and the value element of each line. */
  private headers: { pane: number; box: HTMLElement }[] = [];
  private values: HTMLElement[] = [];
  private shape = "";
  private drawn: Line[] = [];

  constructor(private readonly chart: IChartApi) {}

  /** Draws the lines, reusing the series if names, colours and panes are unchanged. */
  draw(lines: Line[]): void {
    const shape = JSON.stringify(lines.map(({ name, color: hue, pane, columns }) => [name, color(hue), pane, columns]));
    if (shape !== this.shape) this.create(lines); // meanwhile the chart fires crosshair events, and so `showValues` is called
    this.shape = shape;
    this.drawn = lines;
    const [up, down] = [color("--up"), color("--down")];
    lines.forEach(({ points, columns }, n) => {
      this.series[n]!.setData(
        points.map(({ t, value }) => ({ time: (t / 1000) as UTCTimestamp, value, ...(columns ? { color: value < 0 ? down : up } : {}) })),
      );
    });
    requestAnimationFrame(() => this.attachHeaders()); // a new pane has its element by then
  }

  get all(): readonly Line[] {
    return this.drawn;
  }

  /** Displays the values at a candle. `digits` is the number of decimals of its prices. */
  showValues(t: number | undefined, digits: number): void {
    this.drawn.forEach(({ points }, n) => {
      const newest = points.at(-1);
      const point = newest?.t === t ? newest : points.find((each) => each.t === t);
      this.values[n]!.textContent = point ? axisNumber(point.value, Math.max(digits, MIN_DIGITS)) : "–";
    });
  }

  /** Returns the line of a pane nearest to `y` that rules can use, its distance in pixels, and the value at `y` on its scale. */
  nearest(pane: number, t: number | undefined, y: number): { column: string; value: number; distance: number } | undefined {
    const candidates = this.drawn.flatMap(({ column, points }, n) => {
      const series = this.series[n]!;
      const lineY = series.priceToCoordinate(points.find((each) => each.t === t)?.value ?? NaN);
      const value = series.coordinateToPrice(y);
      return column && value !== null && series.getPane().paneIndex() === pane ? [{ column, value, distance: Math.abs((lineY ?? Infinity) - y) }] : [];
    });
    return candidates.sort((a, b) => a.distance - b.distance)[0];
  }

  private create(lines: Line[]): void {
    for (const each of this.series) this.chart.removeSeries(each);
    for (const { box } of this.headers) box.remove();
    const panes = [...new Set([0, ...lines.map(({ pane }) => pane)])].sort((a, b) => a - b);
    this.series = lines.map(({ color: hue, pane, columns, hasOwnScale }) => {
      const options = { color: color(hue), priceLineVisible: false, lastValueVisible: pane > 0 && !hasOwnScale, ...(hasOwnScale ? { priceScaleId: "apart" } : {}) };
      const index = panes.indexOf(pane);
      const line = columns
        ? this.chart.addSeries(HistogramSeries, options, index)
        : this.chart.addSeries(LineSeries, { ...options, lineWidth: 1, crosshairMarkerVisible: false }, index);
      if (index) line.priceScale().applyOptions({ scaleMargins: MARGINS }); // leaves room for the header
      return line;
    });
    for (const pane of this.chart.panes().slice(1)) pane.setStretchFactor(PANE_STRETCH);
    this.addHeaders(lines, panes);
  }

  /** Builds the pane headers: each indicator once, followed by the values of its lines. */
  private addHeaders(lines: Line[], panes: number[]): void {
    this.headers = panes.map((_, pane) => ({ pane, box: Object.assign(document.createElement("div"), { className: "values" }) }));
    const rows = new Map<string, HTMLElement>();
    this.values = lines.map(({ indicator, name, color: hue, pane }) => {
      const row = rows.get(indicator) ?? createLabel("indicator", indicator);
      rows.set(indicator, row);
      this.headers[panes.indexOf(pane)]!.box.append(row);
      const value = Object.assign(document.createElement("b"), { title: name });
      value.style.color = `var(${hue})`;
      row.append(" ", value);
      return value;
    });
  }

  close(): void {
    [this.headers, this.drawn] = [[], []];
  }

  private attachHeaders(): void {
    if (!this.headers.length) return;
    const panes = this.chart.panes();
    for (const { pane, box } of this.headers) panes[pane]?.getHTMLElement()?.children[1]?.append(box);
  }
}
