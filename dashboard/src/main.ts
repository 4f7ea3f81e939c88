/** The page put together. */

import "./style.css";

import { TIMEFRAMES, read, written, type Place } from "./address";
import { AlertRules } from "./alert_rules";
import { Alerts } from "./alerts";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { Connection } from "./connection";
import { controls, fill } from "./controls";
import { Desk } from "./desk";
import { at, check, notice, write } from "./elements";
import { feedSheet } from "./feeds";
import { time, writeIn } from "./format";
import { Frames } from "./frames";
import { paintAge, paintCountdown, paintPrice, paintQuote } from "./header";
import * as history from "./history";
import { legend } from "./legend";
import { Live, type Alert } from "./live";
import { Market } from "./market";
import { startOf } from "./marks";
import { Panels } from "./panels";
import { PatternList } from "./pattern_list";
import { Picker } from "./picker";
import { Playback } from "./playback";
import { Series } from "./series";
import { MOST_INDICATORS, Settings, type Zone } from "./settings";
import { sheet } from "./sheet";
import { Tape } from "./tape";
import { theme } from "./theme";
import { takeToken } from "./token";
import { Trades } from "./trades";
import { Watchlist } from "./watchlist";

const FEED = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
/** Whoever emits for watchers reads their leases now and then: what passes until then is in history alone. */
const LEASE_BEGINS_MS = 1_500;

let hovered: number | undefined;

const frames = new Frames(paint);
const touch = (): void => frames.touch();
const isLive = (): boolean => !playback.on;
const wants = (channel: string): boolean => panels.wants(channel);
const settings = new Settings();
const market = new Market(() => settings.now);
const connection: Connection = new Connection(() => playback.replay);
const chart: Chart = new Chart(at("chart"), (t) => { hovered = t; touch(); panels.cross(t, chart); }, () => void series.loadOlder(), () => series.viewed());
const patterns = new PatternList(at("patterns"), at("pattern-count"), (each) => chart.centre(startOf(each)));
const series: Series = new Series({ chart, patterns, market, isLive, touch, onView: () => remember() });
const tape = new Tape(at("tape"));
const trades = new Trades(tape, isLive, touch);
const alerts = new Alerts(at("alert-list"), at("alert-count"), at("toasts"), (alert) => void showAlert(alert));
const desk: Desk = new Desk(() => ({ live, playback, market, connection, series, tape, trades, cards, watchlist, touch, wants }));

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
  chosen: () => series.symbol,
  needsAll: () => settings.now.sort === "change",
  isLive,
  touch,
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

const panels: Panels = new Panels({ box: at("charts"), main: chart, series, market, live, settings, isLive, touch });

const rules = new AlertRules((on) => { alerts.isLoud = on; }, () => series.symbol, (rule) => void alerts.only(rule));

const picker = new Picker({
  kinds: () => chart.kinds,
  loaded: () => kinds,
  names: () => chart.indicators,
  series: () => series,
  onPicked: (names) => {
    chart.indicators = names.slice(-MOST_INDICATORS);
    settings.set({ indicators: chart.indicators });
    void series.readValues();
    remember();
  },
});

const kinds = history.indicators().then((found) => {
  chart.kinds = found;
  chart.drawLines();
  picker.list();
}).catch(() => undefined);

async function choose(symbol: string, timeframe?: string): Promise<void> {
  if (symbol !== series.symbol) void quote(symbol);
  const chosen = desk.choose(symbol, timeframe);
  settings.set({ symbol: series.symbol, timeframe: series.timeframe });
  paintFavourite();
  await chosen;
}

/** Keep what is shown in the address, so that it can be passed on. */
function remember(): void {
  if (!series.symbol || !chart.shows(series.store)) return;
  const { scale, style } = settings.now;
  const chosen = { indicators: chart.indicators.join(), scale, style };
  const { symbol, timeframe } = series;
  window.history.replaceState(null, "", written({ symbol, timeframe, view: isLive() ? chart.view : undefined, chosen }));
}

/** Begin with the settings alone, whatever the address chose. */
function anew(): void {
  window.history.replaceState(null, "", series.symbol ? written({ symbol: series.symbol, timeframe: series.timeframe }) : location.pathname);
  location.reload();
}

/** Take what an address chooses. */
function adopt({ chosen = {} }: Place): void {
  if (Object.keys(chosen).length) settings.replace(JSON.stringify({ ...settings.now, ...chosen, ...(chosen.indicators === undefined ? {} : { indicators: chosen.indicators.split(",").filter(Boolean) }) }));
}

/** Show what an address names. */
async function follow(place: Place): Promise<void> {
  if (!place.symbol) return;
  await choose(place.symbol, place.timeframe);
  if (place.view) await series.showTime(place.view.from, place.view.to);
}

function paintFavourite(): void {
  at("favourite").setAttribute("aria-pressed", String(settings.now.favourites.includes(series.symbol)));
}

/** Put the shown symbol into a list of the settings, or take it out. */
function toggle(list: "favourites" | "hidden"): void {
  if (!series.symbol) return;
  settings.toggle(list, series.symbol);
  paintFavourite();
  market.resort();
  cards.choose(series.symbol);
}

function zone(chosen: Zone): void {
  writeIn(chosen);
  write("zone-name", chosen === "UTC" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone);
  chart.setZone();
  panels.redraw();
  tape.redraw();
  touch();
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
  await choose(alert.symbol, TIMEFRAMES.includes(alert.timeframe) ? alert.timeframe : undefined);
  chart.centre(alert.candle_start);
}

function paint(): void {
  if (!series.symbol) return cards.paint(connection.clock.now);
  const { store, symbol } = series;
  const instrument = market.get(symbol);
  paintPrice(instrument);
  tape.paint(instrument.decimals);
  cards.paint(connection.clock.now);
  const candle = hovered === undefined ? store.last : store.get(hovered);
  legend(candle, instrument.decimals, !!candle && store.corrected.has(candle.t), candle ? series.patternsAt(candle.t) : [], candle ? chart.lines.at(candle.t) : []);
}

function eachSecond(): void {
  const now = isLive() ? connection.clock.now : playback.replay.time;
  const { last, size } = series.store;
  write("rate", `${desk.messages} messages/s`);
  write("seam", last ? `${size} candles to ${time(last.t)}` : "");
  desk.messages = 0;
  connection.show();
  paintAge(market.get(series.symbol), now);
  paintCountdown(last?.t, series.length, now);
  touch();
}

async function begin(): Promise<void> {
  takeToken();
  theme();
  adopt(read(location.hash, settings.now.timeframe));
  const { now } = settings;
  [chart.indicators, chart.choice, series.timeframe] = [[...now.indicators], now.marks, now.timeframe];
  chart.setStyle(now.style);
  chart.setScale(now.scale);
  zone(now.zone);
  const { open } = sheet({ settings, onZone: zone, onReplaced: anew });
  at("help").onclick = open;
  at("feeds-open").onclick = feedSheet(history.feeds);
  at("favourite").onclick = () => toggle("favourites");
  at("hide").onclick = () => toggle("hidden");
  at("full").onclick = () => void fill();
  for (const kind of ["PNG", "CSV"] as const) at(kind.toLowerCase()).onclick = () => chart.save(series.symbol, kind);
  controls({
    chart,
    cards,
    settings,
    onSheet: open,
    onFavourite: () => toggle("favourites"),
    onSort: () => void watchlist.reorder(),
    onSymbol: (symbol) => void choose(symbol),
    onTimeframe: (timeframe) => { if (series.symbol) void choose(series.symbol, timeframe); },
    onSpan: (ms) => void series.showSpan(ms),
    onView: () => series.viewed(),
    onIndicators: () => picker.open(),
    onChosen: remember,
    onLayout: () => panels.lay(),
    onTheme: () => panels.redraw(),
  });
  check("timeframes", series.timeframe);
  live.subscribe("alerts:*");
  live.start();
  at("chart").oncontextmenu = (event) => {
    const price = chart.priceAt(event);
    if (price === undefined || !series.symbol) return;
    event.preventDefault();
    rules.offer(`${series.symbol} close crosses ${price} on ${series.timeframe}`);
  };
  window.setInterval(eachSecond, 1_000);
  const named = () => read(location.hash, series.timeframe);
  window.addEventListener("hashchange", () => void follow(named()));
  await follow(named()); // the chart first, then everything around it
  void loadAlerts();
  void rules.read();
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
      view: chart.view,
      panels: panels.shown,
      panelsDrawn: panels.drawn,
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
