/** Further charts beside the first: each of a symbol and timeframe of its own, under one crosshair. */

import { TIMEFRAMES } from "./address";
import { Chart } from "./chart";
import type { Live, LiveCandle } from "./live";
import type { Market } from "./market";
import { PatternList } from "./pattern_list";
import { Series } from "./series";
import type { PanelPlace, Settings } from "./settings";

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
}

export class Panels {
  private panels: Panel[] = [];
  private crossed: number | undefined;

  constructor(private readonly around: Around) {}

  /** Make as many as the layout asks for. */
  lay(): void {
    const { box, settings, series } = this.around;
    const { layout, panels } = settings.now;
    box.dataset.layout = String(layout);
    for (const each of this.panels.splice(layout - 1)) each.close();
    while (this.panels.length < layout - 1) {
      const n = this.panels.length;
      const place = panels[n] ?? { symbol: series.symbol, timeframe: TIMEFRAMES[(TIMEFRAMES.indexOf(series.timeframe) + n + 1) % TIMEFRAMES.length]! };
      this.panels.push(new Panel(this.around, place, this));
    }
    this.keep();
  }

  take(candle: LiveCandle): void {
    for (const { series } of this.panels) series.follow(candle);
  }

  /** Channels have begun: read what changed before. */
  fill(channels: string[]): void {
    for (const { series } of this.panels) if (series.channels.some((each) => channels.includes(each))) void series.load();
  }

  reload(): void {
    for (const each of this.panels) each.reload();
  }

  /** Draw in other colours, or write times in another zone. */
  redraw(): void {
    for (const { chart } of this.panels) {
      chart.theme();
      chart.setZone();
    }
  }

  /** Whether a panel shows what a channel sends. */
  wants(channel: string, except?: Panel): boolean {
    return this.panels.some((each) => each !== except && each.series.channels.includes(channel));
  }

  /** Put every crosshair at a time, ms since 1970, or nowhere. */
  cross(t: number | undefined, from: Chart): void {
    if (t === this.crossed) return;
    this.crossed = t;
    for (const each of [this.around.main, ...this.panels.map(({ chart }) => chart)]) if (each !== from) each.cross(t);
  }

  get shown(): PanelPlace[] {
    return this.panels.map(({ series: { symbol, timeframe } }) => ({ symbol, timeframe }));
  }

  get drawn(): number[] {
    return this.panels.map(({ chart }) => chart.drawn().length);
  }

  /** Keep what the panels show. */
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
    timeframe.append(...TIMEFRAMES.map((each) => new Option(each, each)));
    [symbol.value, timeframe.value] = [place.symbol, place.timeframe];
    symbol.onfocus = () => names(around.market);
    symbol.onchange = timeframe.onchange = () => {
      this.choose({ symbol: symbol.value.trim(), timeframe: timeframe.value });
      panels.keep();
    };
    this.choose(place);
  }

  reload(): void {
    if (!this.series.symbol) return;
    this.series.forget();
    this.around.live.subscribe(...this.series.channels);
    void this.series.load();
  }

  close(): void {
    this.leave();
    this.chart.close();
    this.element.remove();
  }

  private choose({ symbol, timeframe }: PanelPlace): void {
    this.leave();
    this.series.choose(symbol, timeframe);
    this.reload();
  }

  /** End what nobody else shows. */
  private leave(): void {
    const { live, series } = this.around;
    const gone = this.series.channels.filter((each) => !series.channels.includes(each) && !this.panels.wants(each, this));
    if (gone.length) live.unsubscribe(...gone);
  }
}

/** The names that a panel's field offers. */
function names(market: Market): void {
  const id = "panel-symbols";
  const list = document.getElementById(id) ?? document.body.appendChild(Object.assign(document.createElement("datalist"), { id }));
  list.replaceChildren(...market.symbols.slice(0, NAMED).map((each) => new Option(each)));
}
