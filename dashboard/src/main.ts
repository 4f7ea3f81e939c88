/** Entry point: creates the parts of the page and connects them. */

import "./style.css";

import { AlertRules, quoteSymbol } from "./alert_rules";
import { Alerts } from "./alerts";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { Connection } from "./connection";
import { bindControls, toggleFullscreen } from "./controls";
import { Controller } from "./controller";
import { byId, showNotice, setText } from "./elements";
import { applySettings } from "./settings_effects";
import { summarizeStates, feedsDialog } from "./feeds_dialog";
import { intervalFor, isInterval } from "./interval";
import { IntervalPicker } from "./interval_picker";
import { DrawScheduler } from "./draw_scheduler";
import { paintQuote } from "./header";
import * as history from "./history";
import * as quotes from "./quotes";
import { RejectsDialog } from "./rejects_dialog";
import { inspect } from "./inspect";
import { ListControls } from "./list_controls";
import { Live } from "./live";
import { Market } from "./market";
import { Navigation } from "./navigation";
import { Painter } from "./painter";
import { Panels } from "./panels";
import type { Parts } from "./parts";
import { PatternList, patternFilter } from "./pattern_list";
import { IndicatorPicker, type PickerTarget } from "./indicator_picker";
import { Playback } from "./playback";
import { Series } from "./series";
import { MAX_INDICATORS, Settings } from "./settings";
import { settingsDialog } from "./settings_dialog";
import { Tape } from "./tape";
import { setTheme } from "./theme";
import { storeToken } from "./token";
import { TapeFeed } from "./tape_feed";
import { Watchlist } from "./watchlist";
import type { Alert } from "./messages";
import { lastCandleStart } from "./patterns";

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
  missed: () => { if (isLive()) { void controller.reload(); panels.reload(); } void loadAlerts(); },
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

const alertRules = new AlertRules((on) => { alerts.notifies = on; }, () => series.symbol, (rule) => void alerts.filterBy(rule));

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

/** Loads alerts from before the page was opened. */
async function loadAlerts(): Promise<void> {
  try {
    await alerts.loadNewest();
  } catch {
    // Live alerts still arrive.
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
  void loadAlerts();
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
