/** Synchronizes the URL hash and the view. */

import { formatHash, parseHash, type HashState } from "./address";
import type { Parts } from "./parts";

/** State of entries in the browser's history that were shown; an edited address has none. */
const SAVED = "saved";

export class Navigation {
  /** Whether the newest change of the address returned to an entry of the browser's history. */
  private hasReturned = false;

  constructor(private readonly parts: () => Parts) {}

  /** Applies the settings in a hash, by default the current one. */
  applySettings({ settings: fromHash = {}, panels = [] }: HashState = this.current): void {
    const { settings } = this.parts();
    const { indicators, layout, ...others } = fromHash;
    if (!Object.keys(fromHash).length) return;
    const chosen = {
      ...others,
      ...(indicators === undefined ? {} : { indicators: indicators.split(",").filter(Boolean) }),
      ...(layout === undefined ? {} : { layout: Number(layout) }),
      ...(panels.length ? { panels } : {}),
    };
    settings.replace(JSON.stringify({ ...settings.now, ...chosen }));
  }

  /** Shows what the hash names, now and whenever it changes: an edited one with its settings, Back and Forward without. */
  async start(): Promise<void> {
    window.addEventListener("popstate", ({ state }) => (this.hasReturned = state === SAVED));
    // The event's own address: `saveView` may have replaced that of the window meanwhile.
    window.addEventListener("hashchange", ({ newURL }) => {
      window.history.replaceState(SAVED, "");
      void this.show(this.parse(new URL(newURL).hash), !this.hasReturned);
    });
    await this.show(this.current);
  }

  /** Writes the view to the hash, so that the URL can be shared. */
  saveView(): void {
    const { series, chart, settings, isLive } = this.parts();
    if (!series.symbol || !chart.isShowing(series.store)) return;
    const { scale, style, layout, panels } = settings.now;
    const { symbol, timeframe } = series;
    const shared = { indicators: chart.indicators.join(), scale, style, layout: String(layout) };
    window.history.replaceState(SAVED, "", formatHash({ symbol, timeframe, view: isLive() ? chart.view.timeRange : undefined, settings: shared, panels: panels.slice(0, layout - 1) }));
  }

  /** Reloads the page from the settings, without those in the hash. */
  reset(): void {
    const { symbol, timeframe } = this.parts().series;
    window.history.replaceState(null, "", symbol ? formatHash({ symbol, timeframe }) : location.pathname);
    location.reload();
  }

  private get current(): HashState {
    return this.parse(location.hash);
  }

  private parse(hash: string): HashState {
    return parseHash(hash, this.parts().series.timeframe);
  }

  private async show(state: HashState, withSettings = false): Promise<void> {
    const { symbol, timeframe, view } = state;
    if (!symbol) return;
    const { panels, series, select } = this.parts();
    await select(symbol, timeframe);
    if (symbol !== series.symbol || timeframe !== series.timeframe) return; // another was selected meanwhile
    if (withSettings) {
      this.applySettings(state);
      panels.layout();
    }
    if (view) await series.showRange(view.from, view.to);
  }
}
