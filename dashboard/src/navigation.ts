/** Synchronizes the URL hash and the view. */

import { read, written, type Place } from "./address";
import type { Parts } from "./parts";

export class Navigation {
  constructor(private readonly navigated: () => Parts) {}

  /** Applies the settings in the hash. */
  adopt(): void {
    const { settings } = this.navigated();
    const { chosen = {}, panels = [] } = this.named;
    const { indicators, layout, ...others } = chosen;
    if (!Object.keys(chosen).length) return;
    const named = {
      ...others,
      ...(indicators === undefined ? {} : { indicators: indicators.split(",").filter(Boolean) }),
      ...(layout === undefined ? {} : { layout: Number(layout) }),
      ...(panels.length ? { panels } : {}),
    };
    settings.replace(JSON.stringify({ ...settings.now, ...named }));
  }

  /** Shows what the hash names, now and whenever it changes. */
  async follow(): Promise<void> {
    window.addEventListener("hashchange", () => void this.show(this.named));
    await this.show(this.named);
  }

  /** Writes the view to the hash, so that the URL can be shared. */
  remember(): void {
    const { series, chart, settings, isLive } = this.navigated();
    if (!series.symbol || !chart.shows(series.store)) return;
    const { scale, style, layout, panels } = settings.now;
    const { symbol, timeframe } = series;
    const chosen = { indicators: chart.indicators.join(), scale, style, layout: String(layout) };
    window.history.replaceState(null, "", written({ symbol, timeframe, view: isLive() ? chart.view.time : undefined, chosen, panels: panels.slice(0, layout - 1) }));
  }

  /** Reloads the page from the settings, without those in the hash. */
  anew(): void {
    const { symbol, timeframe } = this.navigated().series;
    window.history.replaceState(null, "", symbol ? written({ symbol, timeframe }) : location.pathname);
    location.reload();
  }

  private get named(): Place {
    const { series } = this.navigated();
    return read(location.hash, series.timeframe);
  }

  private async show({ symbol, timeframe, view }: Place): Promise<void> {
    if (!symbol) return;
    const { series, choose } = this.navigated();
    await choose(symbol, timeframe);
    if (view) await series.showTime(view.from, view.to);
  }
}
