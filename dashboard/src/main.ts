/** Entry point: creates the parts of the page and connects them. */

import "./style.css";

import { AlertRules, subject } from "./alert_rules";
import { Alerts } from "./alerts";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { Connection } from "./connection";
import { controls, fill } from "./controls";
import { Desk } from "./desk";
import { at, notice, write } from "./elements";
import { effects } from "./effects";
import { counted, feedSheet } from "./feeds";
import { frameFor, isFrame } from "./frame";
import { FramePicker } from "./frame_picker";
import { Frames } from "./frames";
import { paintQuote } from "./header";
import * as history from "./history";
import * as quotes from "./quotes";
import { InputSheet } from "./input_sheet";
import { inspect } from "./inspect";
import { ListControls } from "./list_controls";
import { Live, type Alert } from "./live";
import { Market } from "./market";
import { startOf } from "./marks";
import { Navigation } from "./navigation";
import { Painter } from "./painter";
import { Panels } from "./panels";
import type { Parts } from "./parts";
import { PatternList, patternFilter } from "./pattern_list";
import { Picker, type Picked } from "./picker";
import { Playback } from "./playback";
import { Series } from "./series";
import { MOST_INDICATORS, Settings } from "./settings";
import { sheet } from "./sheet";
import { Tape } from "./tape";
import { theme } from "./theme";
import { takeToken } from "./token";
import { Trades } from "./trades";
import { Watchlist } from "./watchlist";

const FEED = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
/**
 * Candles are only emitted for watched symbols, and the emitter polls the leases of watchers: until it
 * notices, changes are only in history.
 */
const LEASE_BEGINS_MS = 1_500;
const SECOND_MS = 1_000;

const painter = new Painter(() => parts);
const painting = new Frames((all) => painter.frame(all));
const touch = (): void => painting.touch();
const isLive = (): boolean => !playback.on;
const wants = (channel: string): boolean => panels.wants(channel);
const settings = new Settings();
const market = new Market(() => settings.now);
const connection: Connection = new Connection(() => playback.replay);
const chart: Chart = new Chart(at("chart"), (t) => { painter.hovered = t; touch(); panels.cross(t, chart); }, () => void series.loadOlder(), () => series.viewed());
const patterns = new PatternList(at("pattern-list"), at("pattern-count"), (each) => chart.view.centre(startOf(each)), () => void series.olderPatterns());
const series: Series = new Series({ chart, patterns, market, isLive, touch, onView: () => navigation.remember() });
const navigation = new Navigation(() => parts);
const tape = new Tape(at("tape"));
const trades = new Trades(tape, isLive, touch);
const alerts = new Alerts(at("alert-list"), at("alert-count"), at("toasts"), (alert) => void showAlert(alert));
const desk: Desk = new Desk(() => parts);

const live: Live = new Live(FEED, {
  tick: (tick, late, known) => { if (isLive() || tick.symbol !== series.symbol) desk.takeTick(tick, late, known); },
  candle: (candle, received, known) => { if (isLive()) { desk.takeCandle(candle, received, known); panels.take(candle); } },
  pattern: (pattern) => { if (isLive()) series.followPattern(pattern); },
  bust: (bust) => { if (isLive() && bust.symbol === series.symbol) { tape.end(bust); touch(); } },
  alert: (alert, known) => alerts.take(alert, !known),
  subscribed: (channels) => {
    for (const after of [0, LEASE_BEGINS_MS]) window.setTimeout(() => { desk.fill(channels); panels.fill(channels); }, after);
  },
  missed: () => { if (isLive()) { void desk.reload(); panels.reload(); } void loadAlerts(); },
  state: (next, retryMs) => connection.become(next, retryMs),
  refused: notice,
  pong: (sent, came, server) => connection.clock.pong(sent, came, server),
});

const watchlist: Watchlist = new Watchlist(() => cards, {
  market,
  live,
  session: () => settings.now.session,
  chosen: () => series.symbol,
  needsAll: () => !["name", "last trade", "price"].includes(settings.now.sort),
  isLive,
  touch,
  onFeeds: (states) => write("feed-states", counted(states)),
  onRead: () => { desk.heal(); void quote(); },
});
const cards: Cards = new Cards(at("cards"), market, (each) => void choose(each), (visible) => watchlist.watch(visible), (each) => settings.now.favourites.includes(each));

const playback: Playback = new Playback(FEED, {
  tick: (tick, late, known) => desk.takeTick(tick, late, known),
  candle: (candle, received, known) => desk.takeCandle(candle, received, known),
  pattern: (pattern) => series.followPattern(pattern),
}, {
  series,
  tape,
  live,
  market,
  now: () => connection.clock.now,
  onState: () => connection.show(),
  wants,
  onLive: () => { desk.goLive(); panels.reload(); },
});

const panels: Panels = new Panels({ box: at("charts"), main: chart, series, market, live, settings, isLive, touch, onIndicators: (picked) => picker.open(picked) });
const frames = new FramePicker(settings, () => market.get(series.symbol), (frame) => { if (series.symbol) void choose(series.symbol, frame); });
const list = new ListControls({ cards, settings, symbol: () => series.symbol });

const rules = new AlertRules((on) => { alerts.isLoud = on; }, () => series.symbol, (rule) => void alerts.only(rule));

const picker = new Picker(() => chart.kinds, () => kinds);

const parts: Parts = { live, playback, market, connection, series, chart, tape, trades, cards, watchlist, frames, panels, patterns, settings, navigation, desk, painting, touch, isLive, wants, choose };

/** The indicator picker's target for the main chart. */
const picked: Picked = {
  names: () => chart.indicators,
  series: () => series,
  onPicked: (names) => settings.set({ indicators: names.slice(-MOST_INDICATORS) }),
};

const kinds = history.indicators().then((found) => {
  chart.kinds = found;
  chart.drawLines();
  panels.know(found);
  picker.list();
}).catch(() => undefined);

async function choose(symbol: string, timeframe?: string): Promise<void> {
  if (symbol !== series.symbol) void quote(symbol);
  const chosen = desk.choose(symbol, timeframe);
  settings.set({ symbol: series.symbol, timeframe: series.timeframe });
  await chosen;
}

/** Toggles the selected symbol as a favourite. */
function favour(): void {
  if (series.symbol) settings.toggle("favourites", series.symbol);
}

async function quote(symbol = series.symbol): Promise<void> {
  if (!symbol) return;
  try {
    const { bid, ask } = await quotes.latest(symbol);
    if (symbol === series.symbol) paintQuote(isLive() ? bid : null, ask, market.get(symbol).decimals);
  } catch {
    // The connection state already shows the problem.
  }
}

/** Loads alerts from before the page was opened. */
async function loadAlerts(): Promise<void> {
  try {
    await alerts.newest();
  } catch {
    // Live alerts still arrive.
  }
}

async function showAlert(alert: Alert): Promise<void> {
  if (alert.rule.startsWith("feed ")) return; // an alert about a feed has no chart
  await choose(alert.symbol, isFrame(alert.timeframe) ? alert.timeframe : undefined);
  chart.view.centre(alert.candle_start);
}

async function begin(): Promise<void> {
  takeToken();
  theme();
  series.timeframe = settings.now.timeframe;
  navigation.adopt();
  effects(parts);
  patternFilter(settings);
  const { open } = sheet({ settings, onReplaced: () => navigation.anew() });
  at("help").onclick = open;
  at("feeds-open").onclick = feedSheet(quotes.feeds);
  at("favourite").onclick = favour;
  at("hide").onclick = () => list.remove(series.symbol);
  at("full").onclick = () => void fill();
  for (const kind of ["PNG", "CSV"] as const) at(kind.toLowerCase()).onclick = () => chart.save(series.symbol, kind);
  controls({
    chart,
    cards,
    settings,
    frames,
    list,
    symbol: () => series.symbol,
    onSheet: open,
    onFavourite: favour,
    onSymbol: (symbol) => void choose(symbol),
    onTimeframe: (timeframe) => { if (series.symbol) void choose(series.symbol, timeframe); },
    onSpan: async (ms) => {
      await choose(series.symbol, frameFor(ms, series.timeframe));
      await series.showSpan(ms);
    },
    onView: () => series.viewed(),
    onIndicators: () => picker.open(picked),
    onTheme: () => { chart.theme(); panels.redraw(); cards.redraw(); },
  });
  frames.show(series.timeframe);
  live.subscribe("alerts:*");
  live.start();
  at("chart").oncontextmenu = (event) => {
    const condition = chart.conditionAt(event);
    if (!condition || !series.symbol) return;
    event.preventDefault();
    rules.offer(`${subject(series.symbol)} ${condition} on ${series.timeframe}`);
  };
  window.setInterval(() => { painter.second(); touch(); }, SECOND_MS);
  await navigation.follow(); // the chart first, then the rest of the page
  if (series.symbol) panels.lay();
  void loadAlerts();
  void rules.read();
  void new InputSheet().count();
  await watchlist.start();
  const { favourites, symbol } = settings.now;
  const first = [...favourites, symbol].find((each) => market.has(each)) ?? market.symbols[0];
  if (first && !series.symbol) await choose(first);
  cards.choose(series.symbol);
  panels.lay();
}

inspect(parts);
void begin();
