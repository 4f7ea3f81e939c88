// @vitest-environment happy-dom
import type { IChartApi } from "lightweight-charts";
import { expect, test } from "vitest";

import type { Line } from "../model/indicators";
import { Lines } from "./lines";

/** A chart that fires a crosshair event for each change of series, as lightweight-charts does under a pointer. */
class Chart {
  onCrosshair = (): void => {};
  readonly pane = { setStretchFactor: () => this.onCrosshair(), getHTMLElement: () => document.createElement("div") };
  panes = () => [this.pane, this.pane];
  removeSeries = () => this.onCrosshair();
  addSeries = () => {
    this.onCrosshair();
    return { setData: () => this.onCrosshair(), priceScale: () => ({ applyOptions: () => {} }) };
  };
}

const line = (indicator: string, value: number): Line => ({ indicator, name: indicator, color: "--up", pane: 1, points: [{ t: 60_000, value }] }) as Line;

test("values are displayed while lines are added and removed under a pointer", () => {
  const chart = new Chart();
  const lines = new Lines(chart as unknown as IChartApi);
  chart.onCrosshair = () => lines.showValues(60_000, 2);
  lines.draw([line("rsi:14", 50)]);
  lines.draw([line("rsi:14", 51), line("cci:20", 7)]);
  lines.draw([line("cci:20", 8)]);
  lines.draw([line("cci:20", 8), line("mfi:14", 2), line("willr:14", 3)]);
  expect(lines.all.map(({ indicator }) => indicator)).toEqual(["cci:20", "mfi:14", "willr:14"]);
});
