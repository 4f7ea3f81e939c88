/** Additional charts, each with a symbol and timeframe of its own, with linked crosshairs. */

import { Chart } from "./chart";
import type { Kind } from "../model/indicators";
import { button } from "../browser/elements";
import { TIMEFRAMES, intervalTitle } from "../model/interval";
import type { Live } from "../server/live";
import type { Market } from "../model/market";
import { PatternList } from "../lists/pattern_list";
import type { PickerTarget } from "../dialogs/indicator_picker";
import { Series } from "./series";
import { MAX_INDICATORS, isStandard, type PanelState, type Settings } from "../browser/settings";
import type { LiveCandle } from "../model/messages";

const MAX_SUGGESTIONS = 1_000;

export interface Dependencies {
  box: HTMLElement;
  main: Chart;
  series: Series;
  market: Market;
  live: Live;
  settings: Settings;
  isLive(): boolean;
  requestDraw(): void;
  /** Opens the indicator picker for a panel. */
  onIndicators(picked: PickerTarget): void;
}

export class Panels {
  private panels: Panel[] = [];
  private crosshair: number | undefined;

  constructor(private readonly deps: Dependencies) {}

  /** Creates, replaces or removes panels according to the settings. */
  layout(): void {
    const { box, settings, series } = this.deps;
    const { layout, panels } = settings.now;
    box.dataset.layout = String(layout);
    const changed = this.state.findIndex((each, n) => JSON.stringify(each) !== JSON.stringify(panels[n]));
    for (const each of this.panels.splice(changed < 0 ? layout - 1 : Math.min(changed, layout - 1))) each.close();
    while (this.panels.length < layout - 1) {
      const n = this.panels.length;
      const state = panels[n] ?? { symbol: series.symbol, timeframe: TIMEFRAMES[(TIMEFRAMES.findIndex((each) => each === series.timeframe) + n + 1) % TIMEFRAMES.length]!, indicators: [] };
      this.panels.push(new Panel(this.deps, state, this));
    }
    this.save();
  }

  applyCandle(candle: LiveCandle): void {
    for (const { series } of this.panels) series.applyCandle(candle);
  }

  /** Loads history for newly subscribed channels. */
  backfill(channels: string[]): void {
    for (const { series } of this.panels) if (series.replayChannels.some((each) => channels.includes(each))) void series.load();
  }

  reload(): void {
    for (const each of this.panels) each.reload();
  }

  /** Sets the available indicators. */
  setKinds(kinds: Kind[]): void {
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
  needs(channel: string, except?: Panel): boolean {
    return this.panels.some((each) => each !== except && each.series.channels.includes(channel));
  }

  /** Moves the other charts' crosshairs to a time (ms since 1970), or hides them. */
  setCrosshair(t: number | undefined, from: Chart): void {
    if (t === this.crosshair) return;
    this.crosshair = t;
    for (const each of [this.deps.main, ...this.panels.map(({ chart }) => chart)]) if (each !== from) each.setCrosshair(t);
  }

  get state(): PanelState[] {
    return this.panels.map(({ chart, series: { symbol, timeframe } }) => ({ symbol, timeframe, indicators: chart.indicators }));
  }

  /** Names of the drawn lines of each panel. */
  get lines(): string[][] {
    return this.panels.map(({ chart }) => chart.lines.all.map(({ name }) => name));
  }

  get drawn(): number[] {
    return this.panels.map(({ chart }) => chart.drawnBars().length);
  }

  /** Saves the panels to the settings. */
  save(): void {
    this.deps.settings.set({ panels: this.state });
  }
}

class Panel {
  readonly chart: Chart;
  readonly series: Series;
  private readonly element = document.createElement("section");

  constructor(private readonly deps: Dependencies, state: PanelState, private readonly panels: Panels) {
    this.element.className = "panel";
    this.element.innerHTML = '<div class="bar"><input aria-label="Symbol" list="panel-symbols" spellcheck="false" autocomplete="off" /><select aria-label="Timeframe"></select></div><div class="canvas"></div>';
    deps.box.append(this.element);
    this.chart = new Chart(this.element.querySelector(".canvas")!, (t) => panels.setCrosshair(t, this.chart), () => void this.series.loadOlder(), () => undefined);
    const list = new PatternList(document.createElement("div"), document.createElement("div"), () => undefined);
    this.series = new Series({ chart: this.chart, patterns: list, market: deps.market, isLive: deps.isLive, requestDraw: deps.requestDraw, onViewChanged: () => undefined });
    const symbol = this.element.querySelector("input")!;
    const timeframe = this.element.querySelector("select")!;
    const frames = [...TIMEFRAMES, ...new Set([...deps.settings.now.frames, state.timeframe].filter((each) => !isStandard(each)))];
    timeframe.append(...frames.map((each) => new Option(intervalTitle(each), each)));
    [symbol.value, timeframe.value] = [state.symbol, state.timeframe];
    symbol.onfocus = () => suggestSymbols(deps.market);
    symbol.onchange = timeframe.onchange = () => {
      this.choose(symbol.value.trim(), timeframe.value);
      panels.save();
    };
    this.element.querySelector(".bar")!.append(button("Indicators", () => deps.onIndicators(this.pickerTarget), { "aria-label": "Indicators of this chart", "aria-haspopup": "dialog" }));
    [this.chart.kinds, this.chart.indicators] = [deps.main.kinds, state.indicators];
    this.choose(state.symbol, state.timeframe);
  }

  private get pickerTarget(): PickerTarget {
    return {
      names: () => this.chart.indicators,
      series: () => this.series,
      onChange: (names) => {
        this.chart.indicators = names.slice(-MAX_INDICATORS);
        this.panels.save();
        void this.series.values.load();
      },
    };
  }

  reload(): void {
    if (!this.series.symbol) return;
    this.series.reset();
    this.deps.live.subscribe(...this.series.channels);
    void this.series.load();
  }

  close(): void {
    this.unsubscribe();
    this.series.reset(); // discards pending loads
    this.chart.close();
    this.element.remove();
  }

  private choose(symbol: string, timeframe: string): void {
    this.unsubscribe();
    this.series.select(symbol, timeframe);
    this.reload();
  }

  /** Unsubscribes from channels that no other chart needs. */
  private unsubscribe(): void {
    const { live, series } = this.deps;
    const unneeded = this.series.channels.filter((each) => !series.channels.includes(each) && !this.panels.needs(each, this));
    if (unneeded.length) live.unsubscribe(...unneeded);
  }
}

/** Fills the suggestions of a panel's symbol field. */
function suggestSymbols(market: Market): void {
  const id = "panel-symbols";
  const list = document.getElementById(id) ?? document.body.appendChild(Object.assign(document.createElement("datalist"), { id }));
  list.replaceChildren(...market.symbols.slice(0, MAX_SUGGESTIONS).map((each) => new Option(each)));
}
