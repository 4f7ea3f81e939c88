/** The page put together: what is chosen, what is loaded, and what each message changes. */

import "./style.css";

import { Alerts } from "./alerts";
import { CandleStore, LENGTH_MS, type Candle } from "./candles";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { change, decimal, decimals, price, short, span, time } from "./format";
import { Clock, Lag, STALE_MS, ago, level, words } from "./freshness";
import * as history from "./history";
import { INDICATORS } from "./indicators";
import { Live, type Alert, type LiveCandle, type Pattern, type State, type Tick } from "./live";
import { Market } from "./market";
import { CHOICES, chosen, label, startOf, type Choice } from "./marks";
import { PatternList } from "./pattern_list";
import { PatternPages } from "./pattern_pages";
import { Replay, type Wish } from "./replay";
import { ReplayBar } from "./replay_bar";
import { Tape } from "./tape";
import { ROWS } from "./trade_rows";

const TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"];
const RANGES: [string, number][] = [["1H", 3_600_000], ["6H", 6 * 3_600_000], ["1D", 86_400_000], ["1W", 7 * 86_400_000]];
const TABS = ["tape", "patterns", "alerts"];
const PAGE = 500;
const PATTERNS = 200;
/** Drawing takes one part of the time at most, and leaves so many to what comes. */
const IDLE_FOR_WORK = 3;
/** The view stands still for so long before patterns of it are asked for. */
const VIEW_MS = 200;

const at = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

const OVERVIEW_EACH_MS = 5_000;
const ALL_EACH_MS = 60_000;
const FILLS = 5;
/** Whoever emits for watchers reads their leases now and then: what passes until then is in history alone. */
const LEASE_BEGINS_MS = 1_500;

let symbol = "";
let timeframe = "1m";
let store = new CandleStore();
let loading = 0;
let older: "more" | "loading" | "all" = "more";
let hovered: number | undefined;
let viewing: number | undefined;
let dirty = false;
let painting = false;
let messages = 0;
let unknown = false;
let visible: string[] = [];
let allAsked = 0;
let state: State = "connecting";
let feedState = "";
let chosenIndicators: string[] = ["sma20"];
let chosenMarks: Choice = "strong";

const clock = new Clock();
const lags = { trades: new Lag(), candles: new Lag() };
const market = new Market();
const cards = new Cards(at("cards"), market, (each) => void choose(each), watchVisible);
const chart = new Chart(at("chart"), (t) => { hovered = t; touch(); }, () => void loadOlder(), viewed);
const tape = new Tape(at("tape"));
const patterns = new PatternList(at("patterns"), at("pattern-count"), (each) => chart.centre(startOf(each)));

const alerts = new Alerts(at("alerts"), at("alert-count"), at("toasts"), (alert) => void showAlert(alert));

const pages = new PatternPages((from, to) => history.patternsBetween(symbol, timeframe, from, to));

const FEED = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
const replay = new Replay(FEED, { tick: takeTick, candle: takeCandle, pattern: takePattern }, (problem) => {
  if (problem) notice(`No replay: ${problem}`);
  bar.show();
  freshness();
});
const bar = new ReplayBar(replay, (from, speed, by) => void play({ from, speed, by }), goLive, () => clock.now);

const live = new Live(FEED, {
  tick: (tick, late, known) => { if (!replay.on || tick.symbol !== symbol) takeTick(tick, late, known); },
  candle: (candle, received, known) => { if (!replay.on) takeCandle(candle, received, known); },
  pattern: (pattern) => { if (!replay.on) takePattern(pattern); },
  bust: (bust) => { if (!replay.on && bust.symbol === symbol) { tape.end(bust); touch(); } },
  alert: (alert, known) => alerts.take(alert, !known),
  subscribed: (channels) => {
    for (const after of [0, LEASE_BEGINS_MS]) window.setTimeout(() => fill(channels), after);
  },
  missed: () => { if (!replay.on) void reload(); void loadAlerts(); },
  state: (next, retryMs) => {
    state = next;
    if (next !== "live" && !replay.on) pill(next, "good", retryMs ? `reconnecting in ${span(retryMs)}` : next);
    else freshness();
  },
  refused: notice,
  pong: (sent, came, server) => clock.pong(sent, came, server),
});

function pill(name: string, age: string, text: string): void {
  const element = at("connection");
  element.dataset.state = name;
  element.dataset.age = age;
  if (element.textContent !== text) element.textContent = text;
}

/** Say how old what is shown is. Candles lag as well when trades have come that they do not have. */
function ages(): { trades: number | undefined; candles: number | undefined } {
  const now = clock.now;
  const trades = lags.trades.at(now);
  const candles = lags.candles.at(now);
  const missing = lags.trades.received - lags.candles.received;
  return { trades, candles: lags.candles.received && trades !== undefined ? Math.max(candles ?? 0, missing) : candles };
}

function freshness(): void {
  if (replay.on) return pill("replay", "good", `replay · ${replay.state === "playing" ? `${replay.speed} ×` : replay.state} · ${time(replay.time)}`);
  if (state !== "live") return;
  const { trades, candles } = ages();
  const worst = level(Math.max(trades ?? 0, candles ?? 0));
  const text = words(trades, candles) || (trades === undefined ? "quiet" : `trades ${Math.round(trades)} ms`);
  pill("live", worst, `live · ${text}`);
}

/** Read from history what these channels did not send: what changed before they began. */
function fill(channels: string[]): void {
  if (replay.on) return;
  if (channels.includes(`candles:${timeframe}:${symbol}`)) void load();
  if (channels.includes(`ticks:${symbol}`)) void fillTape(symbol);
}

/** Show a symbol: what history has at once, and again when the feed has begun: see `load`. */
async function choose(next: string, nextTimeframe = timeframe): Promise<void> {
  if (next === symbol && nextTimeframe === timeframe) return;
  if (symbol) live.unsubscribe(`candles:${timeframe}:${symbol}`, `patterns:${symbol}`, `busts:${symbol}`);
  const before = symbol;
  [symbol, timeframe] = [next, nextTimeframe];
  lags.candles = new Lag();
  if (before !== symbol) lags.trades = new Lag();
  live.subscribe(`ticks:${symbol}`, `busts:${symbol}`);
  if (before && before !== symbol && !visible.includes(before)) live.unsubscribe(`ticks:${before}`);
  location.replace(`#${encodeURIComponent(symbol)}/${timeframe}`);
  document.title = `${symbol} · Kandle`;
  at("title").textContent = symbol;
  at("chart").setAttribute("aria-label", `Candles of ${symbol}, ${timeframe}`);
  cards.choose(symbol);
  check("timeframes", timeframe);
  if (replay.on) {
    market.get(before).rewind();
    return play({ from: Math.round(replay.time), speed: replay.speed, by: replay.by });
  }
  if (before !== symbol) {
    tape.clear();
    void fillTape(next);
    void quote();
  }
  await reload();
}

/** Show a stored time as it came: history up to it, and then what the replay sends. */
async function play({ from, speed, by }: Omit<Wish, "channels">): Promise<void> {
  replay.prepare(from);
  live.unsubscribe(`candles:${timeframe}:${symbol}`, `patterns:${symbol}`);
  await historyBefore(from);
  if (replay.on) replay.start({ channels: [`ticks:${symbol}`, `candles:${timeframe}:${symbol}`, `patterns:${symbol}`], from, speed, by });
}

/** What history had before a time. */
async function historyBefore(from: number): Promise<void> {
  const mine = ++loading;
  forget();
  const length = LENGTH_MS[timeframe] ?? 60_000;
  try {
    const [found, trades, seen] = await Promise.all([
      history.candles(symbol, timeframe, PAGE, Math.floor(from / length) * length),
      history.ticks(symbol, ROWS, from),
      history.patterns(symbol, timeframe, PATTERNS, from),
    ]);
    if (mine !== loading) return;
    take(found ?? [], seen);
    tape.fill(trades);
    notice();
  } catch (error) {
    if (mine === loading) notice(`History is away: ${error instanceof Error ? error.message : error}`);
  }
  draw();
}

/** Leave the replay for what happens now. */
function goLive(): void {
  if (!replay.on) return;
  replay.stop();
  forget();
  void fillTape(symbol);
  void overview();
  void reload();
}

function forget(): void {
  touch();
  store = new CandleStore();
  older = "more";
  patterns.clear();
  tape.clear();
  market.get(symbol).rewind();
}

function take(found: Candle[], seen: Pattern[]): void {
  for (const each of found) store.take(each);
  patterns.take(...seen);
  pages.known(seen.length < PATTERNS ? 0 : Math.min(...seen.map(({ timestamp }) => timestamp)));
  if (found.length < PAGE) older = "all";
}

/** Another part of time is seen: list and mark the patterns of it. */
function viewed(): void {
  window.clearTimeout(viewing);
  viewing = window.setTimeout(() => void patternsInView(), VIEW_MS);
}

async function patternsInView(): Promise<void> {
  const view = chart.view;
  if (!view) return;
  patterns.view(view.from, view.to + (LENGTH_MS[timeframe] ?? 0));
  const mine = store;
  try {
    const found = await pages.upTo(view.from);
    if (mine === store && patterns.take(...found)) chart.mark(patterns.all);
  } catch {
    viewing = window.setTimeout(() => void patternsInView(), 2_000);
  }
}

/** Load what is shown anew. */
async function reload(): Promise<void> {
  store = new CandleStore();
  older = "more";
  patterns.clear();
  live.subscribe(`candles:${timeframe}:${symbol}`, `patterns:${symbol}`);
  await load();
}

/**
 * Take what history has; it and live messages are merged by their revisions.
 *
 * The feed sends what changes after it has answered `subscribed`. What changed before is in history
 * alone, so history is read after that answer too: nothing falls between the two.
 */
async function load(): Promise<void> {
  const mine = ++loading;
  try {
    const [found, seen] = await Promise.all([
      history.candles(symbol, timeframe, PAGE),
      history.patterns(symbol, timeframe, PATTERNS),
    ]);
    if (mine !== loading || replay.on) return;
    unknown = found === undefined;
    take(found ?? [], seen);
    notice(unknown ? `No symbol ${symbol}: nothing of it was ever seen. It is shown as soon as it trades.` : "");
  } catch (error) {
    if (mine !== loading) return;
    notice(`History is away, tried again: ${error instanceof Error ? error.message : error}`);
    window.setTimeout(() => { if (mine === loading) void load(); }, 2_000);
  }
  draw();
}

/** Trades from history, which has each within moments: read until `upto` is among them. */
async function fillTape(name: string, upto?: Tick): Promise<void> {
  for (let attempt = 0; attempt < FILLS && name === symbol; attempt += 1) {
    try {
      const found = await history.ticks(name, ROWS);
      if (name === symbol && !replay.on) tape.fill(found);
      touch();
    } catch {
      // Tried again; the next trade is shown all the same.
    }
    if (!upto || tape.has(upto)) return;
    await new Promise((done) => setTimeout(done, 250 * 2 ** attempt));
  }
}

async function loadOlder(): Promise<void> {
  const first = store.first;
  if (older !== "more" || !first) return;
  older = "loading";
  const mine = store;
  try {
    const found = (await history.candles(symbol, timeframe, PAGE, first.t)) ?? [];
    if (mine !== store) return;
    for (const each of found) store.take(each);
    older = found.length < PAGE ? "all" : "more";
    if (found.length) draw();
  } catch {
    older = "more";
  }
}

/** Show a span of time that ends with the newest candle, loaded as far as there is history. */
async function showSpan(ms: number): Promise<void> {
  const mine = store;
  for (let pages = 0; pages < 25 && older !== "all" && mine === store; pages += 1) {
    const [first, last] = [store.first, store.last];
    if (!first || !last || first.t <= last.t - ms) break;
    await loadOlder();
    if (older === "loading") await new Promise((done) => setTimeout(done, 50));
  }
  if (mine === store) chart.span(ms);
}

function draw(): void {
  touch();
  const instrument = market.get(symbol);
  instrument.decimals = store.all().slice(-50).reduce((most, c) => Math.max(most, decimals(c.c), decimals(c.h)), instrument.decimals);
  patterns.finest(instrument.decimals);
  chart.show(store, patterns.all, instrument.decimals, timeframe);
}

function takeTick(tick: Tick, late: boolean, known: boolean): void {
  messages += 1;
  touch();
  const fresh = !market.has(tick.symbol);
  market.tick(tick, late);
  if (fresh) cards.lay();
  if (tick.symbol !== symbol) return;
  if (replay.on) return known ? undefined : tape.add(tick, late);
  if (known) {
    if (!tape.has(tick)) void fillTape(symbol, tick);
    return;
  }
  lags.trades.take(tick.received, clock.now);
  tape.add(tick, late);
  if (unknown) void reload();
}

function takeCandle(candle: LiveCandle, received: number | null, known: boolean): void {
  messages += 1;
  touch();
  if (candle.symbol !== symbol || candle.timeframe !== timeframe) return;
  if (!known && !replay.on) lags.candles.take(received, clock.now);
  const began = store.size;
  const did = store.take(candle);
  if (did === "ignored" || !chart.shows(store)) return; // still loading: it is drawn with the rest
  if ((did === "older" && store.size > began) || !chart.follows(candle, timeframe) || chart.decimals < market.get(symbol).decimals) draw();
  else chart.update(candle, did === "newest");
  if (did === "corrected") chart.mark(patterns.all);
  if (store.size > began && chosenIndicators.length) chart.drawLines();
}

/** Subscribe to the trades of the cards in view, and to no others. */
function watchVisible(next: string[]): void {
  touch();
  const gone = visible.filter((each) => each !== symbol && !next.includes(each));
  visible = next;
  if (gone.length) live.unsubscribe(...gone.map((each) => `ticks:${each}`));
  live.subscribe(...next.map((each) => `ticks:${each}`));
}

function takePattern(pattern: Pattern): void {
  messages += 1;
  if (pattern.symbol !== symbol || pattern.timeframe !== timeframe) return;
  if (patterns.take(pattern)) chart.mark(patterns.all);
}

/** Those before the page was opened. */
async function loadAlerts(): Promise<void> {
  try {
    for (const each of await history.alerts()) alerts.take(each, false);
  } catch {
    // Live ones come all the same.
  }
}

async function showAlert(alert: Alert): Promise<void> {
  await choose(alert.symbol, TIMEFRAMES.includes(alert.timeframe) ? alert.timeframe : timeframe);
  chart.centre(alert.candle_start);
}

function notice(text = ""): void {
  at("notice").hidden = !text;
  at("notice").textContent = text;
}

function legend(): void {
  const candle: Candle | undefined = hovered === undefined ? store.last : store.get(hovered);
  if (!candle) return void (at("legend").textContent = "");
  const digits = market.get(symbol).decimals;
  const rising = Number(candle.c) >= Number(candle.o);
  const flags = [
    candle.closed ? "" : "open",
    candle.partial ? "partial: began before the first tick" : "",
    candle.complete ? "" : "gap in the feed",
    store.corrected.has(candle.t) ? "corrected" : "",
  ].filter(Boolean);
  const found = chosen(patterns.all, chosenMarks).filter((each) => startOf(each) === candle.t);
  at("legend").replaceChildren(
    part("", new Date(candle.t).toISOString().slice(0, 16).replace("T", " ")),
    part(rising ? "up" : "down", change(Number(candle.c), Number(candle.o))),
    ...([["O", candle.o], ["H", candle.h], ["L", candle.l], ["C", candle.c]] as const).map(([n, v]) => part("", n, price(v, digits))),
    part("", "Vol", short(Number(candle.v))),
    part("more", "VWAP", candle.vw === null ? "–" : decimal(Number(candle.vw).toFixed(digits))),
    part("more", "Trades", String(candle.n)),
    ...flags.map((each) => part("flag", each)),
    ...found.slice(0, 3).map((each) => part(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each))),
  );
}

function part(kind: string, name: string, value = ""): HTMLElement {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = value ? `${name} ` : name;
  if (value) made.appendChild(document.createElement("b")).textContent = value;
  return made;
}

/** Something has changed: it is drawn with the next frame, or later where drawing takes long. */
function touch(): void {
  dirty = true;
  if (painting) return;
  painting = true;
  requestAnimationFrame(paint);
}

function paint(): void {
  const began = performance.now();
  dirty = false;
  cards.paint(clock.now);
  if (symbol) {
    const { last, decimals: digits, before } = market.get(symbol);
    tape.paint(digits);
    at("price").textContent = last && price(last, digits);
    at("change").textContent = before === undefined ? "" : `${change(Number(last), before)} in 24 h`;
    at("change").className = `change ${before !== undefined && Number(last) < before ? "down" : "up"}`;
    legend();
  }
  window.setTimeout(() => {
    painting = false;
    if (dirty) touch();
  }, IDLE_FOR_WORK * (performance.now() - began));
}

function eachSecond(): void {
  at("rate").textContent = `${messages} messages/s`;
  at("seam").textContent = store.last ? `${store.size} candles to ${time(store.last.t)}` : "";
  messages = 0;
  freshness();
  touch();
  const { received } = market.get(symbol);
  const now = replay.on ? replay.time : clock.now;
  const age = now - received;
  at("last").textContent = received ? `last trade ${ago(age)}` : "";
  at("last").classList.toggle("stale", age > STALE_MS);
  at("price").classList.toggle("stale", age > STALE_MS);
  const length = LENGTH_MS[timeframe] ?? 0;
  const left = length - (now % length);
  const [minutes, seconds] = [Math.floor(left / 60_000), Math.floor((left % 60_000) / 1000)];
  const current = store.last && store.last.t + length > now;
  at("countdown").textContent = current ? `closes in ${minutes < 60 ? `${minutes}:${String(seconds).padStart(2, "0")}` : span(left)}` : "";
  at("feed").textContent = feedState && `feed ${feedState}`;
  at("feed").dataset.state = feedState;
}

async function quote(): Promise<void> {
  const mine = symbol;
  try {
    const { bid, ask } = await history.latest(mine);
    if (mine === symbol) at("quote").textContent = !replay.on && bid && ask ? `bid ${price(bid, market.get(symbol).decimals)}  ask ${price(ask, market.get(symbol).decimals)}` : "";
  } catch {
    // The connection's state says it already.
  }
}

/** One request for all cards in view; now and then for all symbols, for there may be new ones. */
async function overview(): Promise<void> {
  try {
    const all = !allAsked || !market.symbols.length || Date.now() - allAsked > ALL_EACH_MS;
    if (all) allAsked = Date.now();
    const found = await history.overview(all ? undefined : [...new Set([...visible, symbol])].filter(Boolean));
    market.overview(replay.on ? found.filter((each) => each.symbol !== symbol) : found);
    cards.lay();
    touch();
    for (const { instrument, state: each } of await history.feeds()) {
      market.get(instrument).feed = each;
      market.get(instrument).changed = true;
    }
    feedState = market.get(symbol).feed;
    if (symbol) await quote();
  } catch {
    allAsked = 0; // the connection's state says it already; the next one tries again
  }
}

async function poll(): Promise<void> {
  await overview();
  const first = market.symbols[0];
  if (first && !symbol) void choose(first);
  window.setTimeout(() => void poll(), OVERVIEW_EACH_MS);
}

function theme(next?: string): void {
  const root = document.documentElement;
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const wanted = next ?? localStorage.getItem("theme") ?? preferred;
  root.dataset.theme = wanted;
  if (next) localStorage.setItem("theme", next);
  chart.theme();
}

function controls(): void {
  at("timeframes").append(
    ...TIMEFRAMES.map((each) => button(each, () => void choose(symbol, each), { role: "radio", "aria-checked": String(each === timeframe) })),
  );
  at("ranges").append(
    ...RANGES.map(([name, ms]) => button(name, () => void showSpan(ms))),
  );
  at("indicators").append(
    ...Object.entries(INDICATORS).map(([name, { title }]) => {
      const made = button(title, () => {
        const on = !chosenIndicators.includes(name);
        chosenIndicators = on ? [...chosenIndicators, name] : chosenIndicators.filter((each) => each !== name);
        made.setAttribute("aria-pressed", String(on));
        chart.drawLines(chosenIndicators);
      }, { "aria-pressed": String(chosenIndicators.includes(name)) });
      return made;
    }),
  );
  chart.drawLines(chosenIndicators);
  at("marks").append(
    ...CHOICES.map((each) => button(each, () => {
      chosenMarks = each;
      chart.choose(each);
      check("marks", each);
    }, { role: "radio", "aria-checked": String(each === chosenMarks) })),
  );
  at("theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  const search = at<HTMLInputElement>("search");
  search.oninput = () => cards.search(search.value);
  search.onkeydown = ({ key }) => {
    const found = cards.shown[0];
    if (key === "Enter" && found) void choose(found);
    if (key === "Escape") { search.value = ""; cards.search(""); search.blur(); }
  };
  for (const name of TABS)
    at(`tab-${name}`).onclick = () => {
      for (const each of TABS) {
        at(each).hidden = each !== name;
        at(`tab-${each}`).setAttribute("aria-selected", String(each === name));
      }
    };
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = Number(event.key);
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (walked(event.target, step)) return event.preventDefault();
    if (step) chart.move(step / 4);
    else if (event.key === "+" || event.key === "-") chart.zoom(event.key === "+" ? 0.7 : 1.4);
    else if (event.key === "/") search.focus();
    else if (event.key === "t") at("theme").click();
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = cards.neighbour(event.key === "ArrowDown" ? 1 : -1);
      if (next) void choose(next);
    } else if (number >= 1 && number <= TIMEFRAMES.length && symbol) void choose(symbol, TIMEFRAMES[number - 1]);
    else return;
    event.preventDefault();
  });
}

/** Tell which of a group is chosen. */
function check(group: string, name: string): void {
  for (const each of at(group).querySelectorAll("button"))
    each.setAttribute("aria-checked", String(each.textContent === name));
}

/** Arrows walk within a group of choices. */
function walked(target: EventTarget | null, step: number): boolean {
  const group = target instanceof Element ? target.closest("[role=radiogroup], [role=tablist]") : null;
  if (!group || !step) return false;
  const all = [...group.querySelectorAll("button")];
  const next = all[all.indexOf(target as HTMLButtonElement) + step];
  next?.focus();
  next?.click();
  return true;
}

function button(text: string, onClick: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.onclick = onClick;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** What the address names: #SYMBOL/TIMEFRAME. */
function named(): [string, string] {
  const [name = "", frame = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
  return [name, TIMEFRAMES.includes(frame) ? frame : timeframe];
}

async function begin(): Promise<void> {
  theme();
  controls();
  live.subscribe("alerts:*");
  live.start();
  window.setInterval(eachSecond, 1_000);
  window.addEventListener("hashchange", () => { const [name, frame] = named(); if (name) void choose(name, frame); });
  const [name, frame] = named();
  if (name) await choose(name, frame); // the chart first, then everything around it
  void loadAlerts();
  await poll();
  cards.choose(symbol);
}

Object.assign(window, {
  kandle: {
    /** What the chart shows now; browser tests hold it against the API. */
    state: () => ({ symbol, timeframe, candles: store.all(), drawn: chart.drawn(), corrected: [...store.corrected], patterns: patterns.all, marked: chart.marked(), gaps: chart.gaps, ages: ages(), last: market.get(symbol).last, visible, symbols: market.symbols.length, replay: { state: replay.state, time: replay.time } }),
  },
});

void begin();
