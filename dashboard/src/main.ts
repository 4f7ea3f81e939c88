/** The page put together. */

import "./style.css";

import { AlertRules } from "./alert_rules";
import { Alerts } from "./alerts";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { Connection } from "./connection";
import { controls, fill } from "./controls";
import { Desk } from "./desk";
import { at, notice, write } from "./elements";
import { counted, feedSheet } from "./feeds";
import { writeIn, writeNumbers } from "./format";
import { isFrame } from "./frame";
import { FramePicker } from "./frame_picker";
import { Frames } from "./frames";
import { paintQuote } from "./header";
import * as history from "./history";
import { InputSheet } from "./input_sheet";
import { ListControls } from "./list_controls";
import { Live, type Alert } from "./live";
import { Market } from "./market";
import { startOf, type Filter } from "./marks";
import { Navigation } from "./navigation";
import { Painter } from "./painter";
import { Panels } from "./panels";
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
import { nameZone, zoneName } from "./zones";

const FEED = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
/** Whoever emits for watchers reads their leases now and then: what passes until then is in history alone. */
const LEASE_BEGINS_MS = 1_500;
const SECOND_MS = 1_000;

const painter = new Painter(() => ({ series, chart, market, tape, cards, connection, playback, desk }));
const painting = new Frames(() => painter.frame());
const touch = (): void => painting.touch();
const isLive = (): boolean => !playback.on;
const wants = (channel: string): boolean => panels.wants(channel);
const settings = new Settings();
const market = new Market(() => settings.now);
const connection: Connection = new Connection(() => playback.replay);
const chart: Chart = new Chart(at("chart"), (t) => { painter.hovered = t; touch(); panels.cross(t, chart); }, () => void series.loadOlder(), () => series.viewed());
const patterns = new PatternList(at("pattern-list"), at("pattern-count"), (each) => chart.view.centre(startOf(each)), () => void series.olderPatterns());
const series: Series = new Series({ chart, patterns, market, isLive, touch, onView: () => navigation.remember() });
const navigation = new Navigation(() => ({ series, chart, settings, isLive, choose }));
const tape = new Tape(at("tape"));
const trades = new Trades(tape, isLive, touch);
const alerts = new Alerts(at("alert-list"), at("alert-count"), at("toasts"), (alert) => void showAlert(alert));
const desk: Desk = new Desk(() => ({ live, playback, market, connection, series, tape, trades, cards, watchlist, frames, touch, wants }));

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
const list = new ListControls({ cards, settings, symbol: () => series.symbol, onOrder: () => void watchlist.reorder() });

const rules = new AlertRules((on) => { alerts.isLoud = on; }, () => series.symbol, (rule) => void alerts.only(rule));

const picker = new Picker(() => chart.kinds, () => kinds);

/** The indicators of the first chart. */
const picked: Picked = {
  names: () => chart.indicators,
  series: () => series,
  onPicked: (names) => {
    chart.indicators = names.slice(-MOST_INDICATORS);
    settings.set({ indicators: chart.indicators });
    void series.values.read();
    navigation.remember();
  },
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
  if (settings.now.zone === "exchange" && writeIn(zoneName("exchange", series.symbol, series.timeframe))) writeAsChosen();
  paintFavourite();
  await chosen;
}

function paintFavourite(): void {
  at("favourite").setAttribute("aria-pressed", String(settings.now.favourites.includes(series.symbol)));
}

/** Make the shown symbol a favourite, or none. */
function favour(): void {
  if (!series.symbol) return;
  settings.toggle("favourites", series.symbol);
  paintFavourite();
  market.resort();
  cards.choose(series.symbol);
}

/** Write times and numbers as they were chosen. */
function writeAsChosen(): void {
  const { zone, numbers, digits } = settings.now;
  writeIn(zoneName(zone, series.symbol, series.timeframe));
  writeNumbers(numbers, digits);
  nameZone(zoneName(zone, series.symbol, series.timeframe));
  chart.rewrite();
  panels.redraw();
  patterns.redraw();
  cards.redraw();
  tape.redraw();
  touch();
}

function filter(): void {
  const { marks: choice, kinds: wanted, least } = settings.now;
  const found: Filter = { choice, kinds: wanted, least };
  chart.filter = found;
  chart.mark();
  patterns.redraw(found);
}

async function quote(symbol = series.symbol): Promise<void> {
  if (!symbol) return;
  try {
    const { bid, ask } = await history.latest(symbol);
    if (symbol === series.symbol) paintQuote(isLive() ? bid : null, ask, market.get(symbol).decimals);
  } catch {
    // The connection's state says it already.
  }
}

/** Those before the page was opened. */
async function loadAlerts(): Promise<void> {
  try {
    await alerts.newest();
  } catch {
    // Live ones come all the same.
  }
}

async function showAlert(alert: Alert): Promise<void> {
  if (alert.rule.startsWith("feed ")) return; // of a feed there is no chart
  await choose(alert.symbol, isFrame(alert.timeframe) ? alert.timeframe : undefined);
  chart.view.centre(alert.candle_start);
}

async function begin(): Promise<void> {
  takeToken();
  theme();
  series.timeframe = settings.now.timeframe;
  navigation.adopt();
  const { now } = settings;
  chart.indicators = [...now.indicators];
  chart.setStyle(now.style);
  chart.setScale(now.scale);
  writeAsChosen();
  filter();
  patternFilter(settings, filter);
  const { open } = sheet({ settings, onWritten: writeAsChosen, onSession: () => void watchlist.reorder(), onReplaced: () => navigation.anew() });
  at("help").onclick = open;
  at("feeds-open").onclick = feedSheet(history.feeds);
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
    onFilter: filter,
    onSymbol: (symbol) => void choose(symbol),
    onTimeframe: (timeframe) => { if (series.symbol) void choose(series.symbol, timeframe); },
    onSpan: (ms) => void series.showSpan(ms),
    onView: () => series.viewed(),
    onIndicators: () => picker.open(picked),
    onChosen: () => navigation.remember(),
    onLayout: () => panels.lay(),
    onTheme: () => panels.redraw(),
  });
  frames.show(series.timeframe);
  live.subscribe("alerts:*");
  live.start();
  at("chart").oncontextmenu = (event) => {
    const price = chart.priceAt(event);
    if (price === undefined || !series.symbol) return;
    event.preventDefault();
    rules.offer(`${series.symbol} close crosses ${price} on ${series.timeframe}`);
  };
  window.setInterval(() => { painter.second(); touch(); }, SECOND_MS);
  await navigation.follow(); // the chart first, then everything around it
  void loadAlerts();
  void rules.read();
  void new InputSheet().count();
  await watchlist.start();
  const first = [...now.favourites, now.symbol].find((each) => market.has(each)) ?? market.symbols[0];
  if (first && !series.symbol) await choose(first);
  cards.choose(series.symbol);
  panels.lay();
}

Object.assign(window, {
  kandle: {
    /** What the page shows now; browser tests hold it against the API. */
    state: () => ({
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
    }),
  },
});

void begin();
