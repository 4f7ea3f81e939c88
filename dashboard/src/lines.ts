/** The drawn lines of indicators, over the candles and in panes under them. */

import { HistogramSeries, LineSeries, createTextWatermark, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";

import type { Line } from "./indicators";
import { color } from "./theme";

const PANE = 0.25;

export class Lines {
  private series: ISeriesApi<"Line" | "Histogram">[] = [];
  private shape = "";
  private drawn: Line[] = [];

  constructor(private readonly chart: IChartApi) {}

  /** Draw these in place of those before; series whose names and places are the same get new points. */
  draw(lines: Line[]): void {
    this.drawn = lines;
    const shape = JSON.stringify(lines.map(({ name, color: hue, pane, columns }) => [name, color(hue), pane, columns]));
    if (shape !== this.shape) this.make(lines);
    this.shape = shape;
    const [up, down] = [color("--up"), color("--down")];
    lines.forEach(({ points, columns }, n) => {
      this.series[n]!.setData(
        points.map(({ t, value }) => ({ time: (t / 1000) as UTCTimestamp, value, ...(columns ? { color: value < 0 ? down : up } : {}) })),
      );
    });
  }

  get all(): readonly Line[] {
    return this.drawn;
  }

  /** The values at a candle, as they are named and coloured. */
  at(t: number): { name: string; color: string; value: number }[] {
    return this.drawn.flatMap(({ name, color: hue, points }) => {
      const newest = points[points.length - 1];
      const found = newest?.t === t ? newest : points.find((each) => each.t === t);
      return found ? [{ name, color: hue, value: found.value }] : [];
    });
  }

  private make(lines: Line[]): void {
    for (const each of this.series) this.chart.removeSeries(each);
    const panes = [...new Set([0, ...lines.map(({ pane }) => pane)])].sort((a, b) => a - b);
    this.series = lines.map(({ color: hue, pane, columns }) => {
      const options = { color: color(hue), priceLineVisible: false, lastValueVisible: pane > 0 };
      const place = panes.indexOf(pane);
      return columns
        ? this.chart.addSeries(HistogramSeries, options, place)
        : this.chart.addSeries(LineSeries, { ...options, lineWidth: 1, crosshairMarkerVisible: false }, place);
    });
    for (const [n, pane] of this.chart.panes().entries()) {
      if (!n) continue;
      pane.setStretchFactor(PANE);
      const names = lines.filter((each) => each.pane === panes[n]).map(({ name }) => name);
      createTextWatermark(pane, {
        horzAlign: "left",
        vertAlign: "top",
        lines: [{ text: common(names), color: color("--muted"), fontSize: 11 }],
      });
    }
  }
}

/** The words that names begin with alike: `MACD 12 26 9` of its three lines. */
export function common(names: string[]): string {
  const [first = [], ...others] = names.map((each) => each.split(" "));
  const end = first.findIndex((word, n) => others.some((each) => each[n] !== word));
  return (end < 0 ? first : first.slice(0, end)).join(" ").replace(/,$/, "") || (names[0] ?? "");
}
