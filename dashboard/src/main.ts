/** Entry point: creates the parts of the page and connects them. */

import "./style.css";

import { AlertRules, quoteSymbol } from "./lists/alert_rules";
import { Alerts } from "./lists/alerts";
import { Cards } from "./lists/cards";
import { Chart } from "./chart/chart";
import { Connection } from "./page/connection";
import { bindControls, toggleFullscreen } from "./page/controls";
import { Controller } from "./page/controller";
import { byId, showNotice, setText } from "./browser/elements";
import { applySettings } from "./page/settings_effects";
import { summarizeStates, feedsDialog } from "./dialogs/feeds_dialog";
import { intervalFor, isInterval } from "./model/interval";
import { IntervalPicker } from "./dialogs/interval_picker";
import { DrawScheduler } from "./browser/draw_scheduler";
import { paintQuote } from "./page/header";
import * as history from "./server/history";
import * as quotes from "./server/quotes";
import { RejectsDialog } from "./dialogs/rejects_dialog";
import { inspect } from "./page/inspect";
import { ListControls } from "./lists/list_controls";
import { Live } from "./server/live";
import { Market } from "./model/market";
import { Navigation } from "./page/navigation";
import { Painter } from "./page/painter";
import { Panels } from "./chart/panels";
import type { Parts } from "./page/parts";
import { PatternList, patternFilter } from "./lists/pattern_list";
import { IndicatorPicker, type PickerTarget } from "./dialogs/indicator_picker";
import { Playback } from "./page/playback";
import { Series } from "./chart/series";
import { MAX_INDICATORS, Settings } from "./browser/settings";
import { settingsDialog } from "./dialogs/settings_dialog";
import { Tape } from "./lists/tape";
import { setTheme } from "./browser/theme";
import { storeToken } from "./server/token";
import { TapeFeed } from "./lists/tape_feed";
import { Watchlist } from "./lists/watchlist";
import type { Alert } from "./model/messages";
import { lastCandleStart } from "./model/patterns";

const FEED = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
/**
 * Candles are only emitted for watched symbols, and the emitter polls the leases of watchers: until it
 * notices, changes are only in history.
 */
const LEASE_DELAY_MS = 1_500;
const SECOND_MS = 1_000;

const painter = new Painter(() => parts);
const scheduler = new DrawScheduler((all) => painter.draw(all));
const requestDraw = (): void => scheduler.request();
const isLive = (): boolean => !playback.isOn;
const panelsNeed = (channel: string): boolean => panels.needs(channel);
const settings = new Settings();
const market = new Market(() => settings.now);
const connection: Connection = new Connection(() => playback.replay);
const chart: Chart = new Chart(byId("chart"), (t) => { painter.hovered = t; requestDraw(); panels.setCrosshair(t, chart); }, () => void series.loadOlder(), () => series.onRangeChanged());
const patterns = new PatternList(byId("pattern-list"), byId("pattern-count"), (each) => chart.view.centre(lastCandleStart(each)), () => void series.loadOlderPatterns());
const series: Series = new Series({ chart, patterns, market, isLive, requestDraw, onViewChanged: () => navigation.saveView() });
const navigation = new Navigation(() => parts);
const tape = new Tape(byId("tape"));
const trades = new TapeFeed(tape, isLive, requestDraw);
const alerts = new Alerts(byId("alert-list"), byId("alert-count"), byId("toasts"), (alert) => void showAlert(alert));
const controller: Controller = new Controller(() => parts);

const live: Live = new Live(FEED, {
  tick: (tick, late, isSnapshot) => { if (isLive() || tick.symbol !== series.symbol) controller.applyTick(tick, late, isSnapshot); },
  candle: (candle, received, isSnapshot) => { if (isLive()) { controller.applyCandle(candle, received, isSnapshot); panels.applyCandle(candle); } },
  pattern: (pattern) => { if (isLive()) series.applyPattern(pattern); },
  bust: (bust) => { if (isLive() && bust.symbol === series.symbol) { tape.applyBust(bust); requestDraw(); } },
  alert: (alert, isSnapshot) => alerts.add(alert, !isSnapshot),
  subscribed: (channels) => {
    for (const after of [0, LEASE_DELAY_MS]) window.setTimeout(() => { controller.backfill(channels); panels.backfill(channels); }, after);
  },
  missed: () => { if (isLive()) { void controller.reload(); panels.reload(); } void alerts.load(); },
  state: (next, retryMs) => connection.setState(next, retryMs),
  refused: showNotice,
  pong: (sent, answered, server) => connection.clock.pong(sent, answered, server),
});

const watchlist: Watchlist = new Watchlist(() => cards, {
  market,
  live,
  session: () => settings.now.session,
  selected: () => series.symbol,
  needsAll: () => !["name", "last trade", "price"].includes(settings.now.sort),
  isLive,
  requestDraw,
  onFeeds: (states) => setText("feed-states", summarizeStates(states)),
  onRead: () => { controller.backfillMissed(); void loadQuote(); },
});
const cards: Cards = new Cards(byId("cards"), market, (each) => void select(each), (visible) => watchlist.watch(visible), (each) => settings.now.favourites.includes(each));

const playback: Playback = new Playback(FEED, {
  tick: (tick, late, isSnapshot) => controller.applyTick(tick, late, isSnapshot),
  candle: (candle, received, isSnapshot) => controller.applyCandle(candle, received, isSnapshot),
  pattern: (pattern) => series.applyPattern(pattern),
}, {
  series,
  tape,
  live,
  market,
  now: () => connection.clock.now,
  onState: () => connection.update(),
  panelsNeed,
  onLive: () => { controller.goLive(); panels.reload(); },
});

const panels: Panels = new Panels({ box: byId("charts"), main: chart, series, market, live, settings, isLive, requestDraw, onIndicators: (target) => picker.open(target) });
const intervals = new IntervalPicker(settings, () => market.get(series.symbol), (frame) => { if (series.symbol) void select(series.symbol, frame); });
const listControls = new ListControls({ cards, settings, symbol: () => series.symbol });

const alertRules = new AlertRules((on) => { alerts.notifies = on; }, () => series.symbol, (rule) => alerts.filterBy(rule));

const picker = new IndicatorPicker(() => chart.kinds, () => kindsLoaded);

const parts: Parts = { live, playback, market, connection, series, chart, tape, trades, cards, watchlist, intervals, panels, patterns, settings, navigation, controller, scheduler, requestDraw, isLive, panelsNeed, select };

/** The indicator picker's target for the main chart. */
const mainTarget: PickerTarget = {
  names: () => chart.indicators,
  series: () => series,
  onChange: (names) => settings.set({ indicators: names.slice(-MAX_INDICATORS) }),
};

const kindsLoaded = history.indicators().then((kinds) => {
  chart.kinds = kinds;
  chart.drawLines();
  panels.setKinds(kinds);
  picker.drawAvailable();
}).catch(() => undefined);

async function select(symbol: string, timeframe?: string): Promise<void> {
  if (symbol !== series.symbol) void loadQuote(symbol);
  const loaded = controller.select(symbol, timeframe);
  settings.set({ symbol: series.symbol, timeframe: series.timeframe });
  await loaded;
}

/** Toggles the selected symbol as a favourite. */
function toggleFavourite(): void {
  if (series.symbol) settings.toggle("favourites", series.symbol);
}

async function loadQuote(symbol = series.symbol): Promise<void> {
  if (!symbol) return;
  try {
    const { bid, ask } = await quotes.fetchQuote(symbol);
    if (symbol === series.symbol) paintQuote(isLive() ? bid : null, ask, market.get(symbol).decimals);
  } catch {
    // The connection state already shows the problem.
  }
}

async function showAlert(alert: Alert): Promise<void> {
  if (alert.rule.startsWith("feed ")) return; // an alert about a feed has no chart
  await select(alert.symbol, isInterval(alert.timeframe) ? alert.timeframe : undefined);
  chart.view.centre(alert.candle_start);
}

async function start(): Promise<void> {
  storeToken();
  setTheme();
  series.timeframe = settings.now.timeframe;
  navigation.applySettings();
  applySettings(parts);
  patternFilter(settings);
  const { open } = settingsDialog({ settings, onReplaced: () => navigation.reset() });
  byId("help").onclick = open;
  byId("feeds-open").onclick = feedsDialog(quotes.fetchFeeds);
  byId("favourite").onclick = toggleFavourite;
  byId("hide").onclick = () => listControls.remove(series.symbol);
  byId("full").hidden = !document.fullscreenEnabled;
  byId("full").onclick = () => void toggleFullscreen();
  for (const kind of ["PNG", "CSV"] as const) byId(kind.toLowerCase()).onclick = () => chart.save(series.symbol, kind);
  bindControls({
    chart,
    cards,
    settings,
    intervals,
    listControls,
    symbol: () => series.symbol,
    onHelp: open,
    onFavourite: toggleFavourite,
    onSymbol: (symbol) => void select(symbol),
    onTimeframe: (timeframe) => { if (series.symbol) void select(series.symbol, timeframe); },
    onRange: async (ms) => {
      await select(series.symbol, intervalFor(ms, series.timeframe));
      await series.showDuration(ms);
    },
    onView: () => series.onRangeChanged(),
    onIndicators: () => picker.open(mainTarget),
    onTheme: () => { chart.theme(); panels.redraw(); cards.redraw(); },
  });
  intervals.select(series.timeframe);
  live.subscribe("alerts:*");
  live.start();
  byId("chart").oncontextmenu = (event) => {
    const condition = chart.conditionAt(event);
    if (!condition || !series.symbol) return;
    event.preventDefault();
    alertRules.fillForm(`${quoteSymbol(series.symbol)} ${condition} on ${series.timeframe}`);
  };
  window.setInterval(() => { painter.drawClocks(); requestDraw(); }, SECOND_MS);
  await navigation.start(); // the chart first, then the rest of the page
  if (series.symbol) panels.layout();
  void alerts.load();
  void alertRules.load();
  void new RejectsDialog().poll();
  await watchlist.start();
  const { favourites, symbol } = settings.now;
  const first = [...favourites, symbol].find((each) => market.has(each)) ?? market.symbols[0];
  if (first && !series.symbol) await select(first);
  cards.select(series.symbol);
  panels.layout();
}

inspect(parts);
void start();
