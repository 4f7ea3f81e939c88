/** `window.kandle.state()`: the page's state, compared with the API by browser tests. */

import type { Parts } from "./parts";

export function inspect({ series, chart, patterns, panels, connection, market, watchlist, settings, playback }: Parts): void {
  const state = () => ({
    symbol: series.symbol,
    timeframe: series.timeframe,
    candles: series.store.all(),
    drawn: chart.drawnBars(),
    corrected: [...series.store.corrected],
    patterns: patterns.all,
    marked: chart.markedLabels(),
    gaps: chart.emptySlots,
    outliers: chart.outliers,
    profile: chart.profile.levels,
    top: chart.topPrice,
    view: chart.view.timeRange,
    panels: panels.state,
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
