/** Applies settings to the page. Nothing else redraws because of a setting. */

import { at } from "./elements";
import { writeIn, writeNumbers } from "./format";
import type { Parts } from "./parts";
import { nameZone, zoneName } from "./zones";

export function effects({ settings, series, chart, panels, patterns, cards, tape, market, watchlist, navigation, touch }: Parts): void {
  settings.follow(["style"], ({ style }) => chart.setStyle(style));
  settings.follow(["scale"], ({ scale }) => chart.setScale(scale));
  settings.follow(["indicators"], ({ indicators }) => {
    chart.indicators = indicators;
    chart.drawLines();
    void series.values.read();
  });
  settings.follow(["marks", "kinds", "least"], ({ marks: choice, kinds, least }) => {
    chart.filter = { choice, kinds, least };
    chart.mark();
    patterns.redraw(chart.filter);
  });
  settings.on(["style", "scale", "indicators", "layout", "panels"], () => navigation.remember());
  settings.on(["layout"], () => panels.lay());
  settings.follow(["zone", "numbers", "digits", "symbol", "timeframe"], ({ zone, numbers, digits, symbol, timeframe }) => {
    const name = zoneName(zone, symbol, timeframe);
    nameZone(name);
    if (![writeIn(name), writeNumbers(numbers, digits)].includes(true)) return;
    for (const each of [chart, panels, patterns, cards, tape]) each.redraw();
    touch();
  });
  settings.follow(["favourites", "symbol"], ({ favourites, symbol }) => at("favourite").setAttribute("aria-pressed", String(favourites.includes(symbol))));
  settings.follow(["group", "groups", "symbol"], ({ group, groups, symbol }) => {
    const add = at("add");
    add.hidden = !symbol || !groups.some((each) => each.name === group && !each.symbols.includes(symbol));
    add.title = `Add it to ${group} ( a )`;
    add.setAttribute("aria-label", `Add this symbol to ${group}`);
  });
  settings.on(["favourites"], () => {
    market.resort();
    cards.choose(series.symbol);
  });
  settings.on(["sort", "reversed", "groups", "group", "hidden", "session"], () => void watchlist.reorder());
}
