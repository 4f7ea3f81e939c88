/** Additional charts, each with a symbol and timeframe of its own, with linked crosshairs. */

import { Chart } from "./chart";
import type { Kind } from "./indicators";
import { button } from "./elements";
import { TIMEFRAMES, frameTitle } from "./frame";
import type { Live, LiveCandle } from "./live";
import type { Market } from "./market";
import { PatternList } from "./pattern_list";
import type { Picked } from "./picker";
import { Series } from "./series";
import { MOST_INDICATORS, isUsual, type PanelPlace, type Settings } from "./settings";

const NAMED = 1_000;

export interface Around {
  box: HTMLElement;
  main: Chart;
  series: Series;
  market: Market;
  live: Live;
  settings: Settings;
  isLive(): boolean;
  touch(): void;
  /** Opens the indicator picker for a panel. */
  onIndicators(picked: Picked): void;
}

export class Panels {
  private panels: Panel[] = [];
  private crossed: number | undefined;

  constructor(private readonly around: Around) {}

  /** Creates or removes panels according to the layout. */
  lay(): void {
    const { box, settings, series } = this.around;
    const { layout, panels } = settings.now;
    box.dataset.layout = String(layout);
    for (const each of this.panels.splice(layout - 1)) each.close();
    while (this.panels.length < layout - 1) {
      const n = this.panels.length;
      const place = panels[n] ?? { symbol: series.symbol, timeframe: TIMEFRAMES[(TIMEFRAMES.findIndex((each) => each === series.timeframe) + n + 1) % TIMEFRAMES.length]!, indicators: [] };
      this.panels.push(new Panel(this.around, place, this));
    }
    this.keep();
  }

  take(candle: LiveCandle): void {
    for (const { series } of this.panels) series.follow(candle);
  }

  /** Loads history for newly subscribed channels. */
  fill(channels: string[]): void {
    for (const { series } of this.panels) if (series.channels.some((each) => channels.includes(each))) void series.load();
  }

  reload(): void {
    for (const each of this.panels) each.reload();
  }

  /** Sets the available indicators. */
  know(kinds: Kind[]): void {
    for (const { chart } of this.panels) {
      chart.kinds = kinds;
      chart.drawLines();
    }
  }

  /** Redraws after a change of theme, time zone or number format. */
  redraw(): void {
    for (const { chart } of this.panels) {
      chart.theme();
      chart.redraw();
    }
  }

  /** Whether a panel, other than `except`, needs a channel. */
  wants(channel: string, except?: Panel): boolean {
    return this.panels.some((each) => each !== except && each.series.channels.includes(channel));
  }

  /** Moves the other charts' crosshairs to a time (ms since 1970), or hides them. */
  cross(t: number | undefined, from: Chart): void {
    if (t === this.crossed) return;
    this.crossed = t;
    for (const each of [this.around.main, ...this.panels.map(({ chart }) => chart)]) if (each !== from) each.cross(t);
  }

  get shown(): PanelPlace[] {
    return this.panels.map(({ chart, series: { symbol, timeframe } }) => ({ symbol, timeframe, indicators: chart.indicators }));
  }

  /** Names of the drawn lines of each panel. */
  get lines(): string[][] {
    return this.panels.map(({ chart }) => chart.lines.all.map(({ name }) => name));
  }

  get drawn(): number[] {
    return this.panels.map(({ chart }) => chart.drawn().length);
  }

  /** Saves the panels to the settings. */
  keep(): void {
    this.around.settings.set({ panels: this.shown });
  }
}

class Panel {
  readonly chart: Chart;
  readonly series: Series;
  private readonly element = document.createElement("section");

  constructor(private readonly around: Around, place: PanelPlace, private readonly panels: Panels) {
    this.element.className = "panel";
    this.element.innerHTML = '<div class="bar"><input aria-label="Symbol" list="panel-symbols" spellcheck="false" autocomplete="off" /><select aria-label="Timeframe"></select></div><div class="canvas"></div>';
    around.box.append(this.element);
    this.chart = new Chart(this.element.querySelector(".canvas")!, (t) => panels.cross(t, this.chart), () => void this.series.loadOlder(), () => undefined);
    const list = new PatternList(document.createElement("div"), document.createElement("div"), () => undefined);
    this.series = new Series({ chart: this.chart, patterns: list, market: around.market, isLive: around.isLive, touch: around.touch, onView: () => undefined });
    const symbol = this.element.querySelector("input")!;
    const timeframe = this.element.querySelector("select")!;
    const frames = [...TIMEFRAMES, ...new Set([...around.settings.now.frames, place.timeframe].filter((each) => !isUsual(each)))];
    timeframe.append(...frames.map((each) => new Option(frameTitle(each), each)));
    [symbol.value, timeframe.value] = [place.symbol, place.timeframe];
    symbol.onfocus = () => names(around.market);
    symbol.onchange = timeframe.onchange = () => {
      this.choose(symbol.value.trim(), timeframe.value);
      panels.keep();
    };
    this.element.querySelector(".bar")!.append(button("Indicators", () => around.onIndicators(this.picked), { "aria-label": "Indicators of this chart", "aria-haspopup": "dialog" }));
    [this.chart.kinds, this.chart.indicators] = [around.main.kinds, place.indicators];
    this.choose(place.symbol, place.timeframe);
  }

  private get picked(): Picked {
    return {
      names: () => this.chart.indicators,
      series: () => this.series,
      onPicked: (names) => {
        this.chart.indicators = names.slice(-MOST_INDICATORS);
        this.panels.keep();
        void this.series.values.read();
      },
    };
  }

  reload(): void {
    if (!this.series.symbol) return;
    this.series.forget();
    this.around.live.subscribe(...this.series.channels);
    void this.series.load();
  }

  close(): void {
    this.leave();
    this.series.forget(); // discards pending loads
    this.chart.close();
    this.element.remove();
  }

  private choose(symbol: string, timeframe: string): void {
    this.leave();
    this.series.choose(symbol, timeframe);
    this.reload();
  }

  /** Unsubscribes from channels that no other chart needs. */
  private leave(): void {
    const { live, series } = this.around;
    const gone = this.series.channels.filter((each) => !series.channels.includes(each) && !this.panels.wants(each, this));
    if (gone.length) live.unsubscribe(...gone);
  }
}

/** Fills the suggestions of a panel's symbol field. */
function names(market: Market): void {
  const id = "panel-symbols";
  const list = document.getElementById(id) ?? document.body.appendChild(Object.assign(document.createElement("datalist"), { id }));
  list.replaceChildren(...market.symbols.slice(0, NAMED).map((each) => new Option(each)));
}
