// @vitest-environment happy-dom
import type { IChartApi } from "lightweight-charts";
import { expect, test } from "vitest";

import type { Line } from "./indicators";
import { Lines } from "./lines";

/** A chart that fires a crosshair event for each change of series, as lightweight-charts does under a pointer. */
class Chart {
  told = (): void => {};
  readonly pane = { setStretchFactor: () => this.told(), getHTMLElement: () => document.createElement("div") };
  panes = () => [this.pane, this.pane];
  removeSeries = () => this.told();
  addSeries = () => {
    this.told();
    return { setData: () => this.told(), priceScale: () => ({ applyOptions: () => {} }) };
  };
}

const line = (of: string, value: number): Line => ({ of, name: of, color: "--up", pane: 1, points: [{ t: 60_000, value }] }) as Line;

test("values are displayed while lines are added and removed under a pointer", () => {
  const chart = new Chart();
  const lines = new Lines(chart as unknown as IChartApi);
  chart.told = () => lines.write(60_000, 2);
  lines.draw([line("rsi:14", 50)]);
  lines.draw([line("rsi:14", 51), line("cci:20", 7)]);
  lines.draw([line("cci:20", 8)]);
  lines.draw([line("cci:20", 8), line("mfi:14", 2), line("willr:14", 3)]);
  expect(lines.all.map(({ of }) => of)).toEqual(["cci:20", "mfi:14", "willr:14"]);
});
