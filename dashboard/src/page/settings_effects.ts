/** Applies settings to the page. Nothing else redraws because of a setting. */

import { byId } from "../browser/elements";
import { setTimeZone, setNumberFormat } from "../model/format";
import type { Parts } from "./parts";
import { zoneName } from "../model/zones";

export function applySettings({ settings, series, chart, panels, patterns, cards, tape, market, watchlist, navigation, requestDraw }: Parts): void {
  settings.subscribe(["style"], ({ style }) => chart.setStyle(style));
  settings.subscribe(["scale"], ({ scale }) => chart.setScale(scale));
  settings.subscribe(["indicators"], ({ indicators }) => {
    chart.indicators = indicators;
    chart.drawLines();
    void series.values.load();
  });
  settings.subscribe(["marks", "kinds", "least"], ({ marks: choice, kinds, least }) => {
    chart.filter = { choice, kinds, least };
    chart.updateMarkers();
    patterns.redraw(chart.filter);
  });
  settings.onChange(["style", "scale", "indicators", "layout", "panels"], () => navigation.saveView());
  settings.onChange(["layout"], () => panels.layout());
  settings.subscribe(["zone", "numbers", "digits", "symbol", "timeframe"], ({ zone, numbers, digits, symbol, timeframe }) => {
    const name = zoneName(zone, symbol, timeframe);
    showZone(name);
    if (![setTimeZone(name), setNumberFormat(numbers, digits)].includes(true)) return;
    for (const each of [chart, panels, patterns, cards, tape]) each.redraw();
    requestDraw();
  });
  settings.subscribe(["favourites", "symbol"], ({ favourites, symbol }) => byId("favourite").setAttribute("aria-pressed", String(favourites.includes(symbol))));
  settings.subscribe(["group", "groups", "symbol"], ({ group, groups, symbol }) => {
    const add = byId("add");
    add.hidden = !symbol || !groups.some((each) => each.name === group && !each.symbols.includes(symbol));
    add.title = `Add to ${group} ( a )`;
    add.setAttribute("aria-label", `Add this symbol to ${group}`);
  });
  settings.onChange(["favourites"], () => {
    market.invalidateOrder();
    cards.select(series.symbol);
  });
  settings.onChange(["sort", "reversed", "groups", "group", "hidden", "session"], () => void watchlist.reload());
}

/** Displays the name of the current zone. */
function showZone(name: string | undefined): void {
  byId("zone-name").textContent = name ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}
