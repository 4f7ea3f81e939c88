/** `window.kandle`: what the page shows now; browser tests hold it against the API. */

import type { Chart } from "./chart";
import type { Connection } from "./connection";
import type { Market } from "./market";
import type { Panels } from "./panels";
import type { PatternList } from "./pattern_list";
import type { Playback } from "./playback";
import type { Series } from "./series";
import type { Settings } from "./settings";
import type { Watchlist } from "./watchlist";

export interface Inspected {
  series: Series;
  chart: Chart;
  patterns: PatternList;
  panels: Panels;
  connection: Connection;
  market: Market;
  watchlist: Watchlist;
  settings: Settings;
  playback: Playback;
}

export function inspect({ series, chart, patterns, panels, connection, market, watchlist, settings, playback }: Inspected): void {
  const state = () => ({
    symbol: series.symbol,
    timeframe: series.timeframe,
    candles: series.store.all(),
    drawn: chart.drawn(),
    corrected: [...series.store.corrected],
    patterns: patterns.all,
    marked: chart.marked(),
    gaps: chart.gaps,
    outliers: chart.outliers,
    profile: chart.profile.levels,
    top: chart.top,
    view: chart.view.time,
    panels: panels.shown,
    panelsDrawn: panels.drawn,
    panelLines: panels.lines,
    lines: chart.lines.all,
    ages: connection.ages,
    last: market.get(series.symbol).last,
    visible: watchlist.visible,
    symbols: market.symbols.length,
    listed: market.symbols.slice(0, 100),
    settings: settings.now,
    replay: { state: playback.replay.state, time: playback.replay.time },
  });
  Object.assign(window, { kandle: { state } });
}
