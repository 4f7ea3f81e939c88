/** The page put together: what is chosen, what is loaded, and what each message changes. */

import "./style.css";

import { Alerts } from "./alerts";
import { CandleStore, LENGTH_MS, type Candle } from "./candles";
import { Cards } from "./cards";
import { Chart } from "./chart";
import { change, decimal, decimals, price, short, span, time } from "./format";
import * as history from "./history";
import { INDICATORS } from "./indicators";
import { Live, type Alert, type LiveCandle, type Pattern, type Tick } from "./live";
import { CHOICES, chosen, label, startOf, type Choice } from "./marks";
import { PatternList } from "./pattern_list";
import { ROWS, Tape } from "./tape";

const TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"];
const RANGES: [string, number][] = [["1H", 3_600_000], ["6H", 6 * 3_600_000], ["1D", 86_400_000], ["1W", 7 * 86_400_000]];
const TABS = ["tape", "patterns", "alerts"];
const PAGE = 500;

const at = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** What the address asks for, until it is shown. */
const [asked = "", wantedTimeframe = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
let wanted = asked;
let symbol = "";
let timeframe = "1m";
let store = new CandleStore();
let loading = 0;
let older: "more" | "loading" | "all" = "more";
let hovered: number | undefined;
let latencyMs: number | undefined;
let messages = 0;
let chosenIndicators: string[] = ["sma20"];
let chosenMarks: Choice = "strong";

const cards = new Cards(at("cards"), (each) => void choose(each));
const chart = new Chart(at("chart"), (t) => { hovered = t; }, () => void loadOlder());
const tape = new Tape(at("tape"));
const patterns = new PatternList(at("patterns"), at("pattern-count"), (each) => chart.centre(startOf(each)));

const alerts = new Alerts(at("alerts"), at("alert-count"), at("toasts"), (alert) => void showAlert(alert));

const live = new Live(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`, {
  tick: takeTick,
  candle: takeCandle,
  pattern: takePattern,
  alert: (alert, known) => alerts.take(alert, !known),
  missed: () => { void reload(); void loadAlerts(); },
  state: (state, retryMs) => {
    const pill = at("connection");
    pill.dataset.state = state;
    pill.textContent = state === "live" ? "live" : retryMs ? `reconnecting in ${span(retryMs)}` : state;
    if (state === "reconnecting") latencyMs = undefined;
  },
  latency: (ms) => { latencyMs = ms; },
});

/** Show a symbol: subscribed first, then loaded, so that nothing falls between the two. */
async function choose(next: string, nextTimeframe = timeframe): Promise<void> {
  if (next === symbol && nextTimeframe === timeframe) return;
  if (symbol) live.unsubscribe(`candles:${timeframe}:${symbol}`, `patterns:${symbol}`);
  [symbol, timeframe] = [next, nextTimeframe];
  location.replace(`#${encodeURIComponent(symbol)}/${timeframe}`);
  document.title = `${symbol} · Kandle`;
  at("title").textContent = symbol;
  at("chart").setAttribute("aria-label", `Candles of ${symbol}, ${timeframe}`);
  cards.choose(symbol);
  tape.clear();
  void fillTape(next);
  check("timeframes", timeframe);
  await reload();
}

/** Load what is shown anew; live messages meanwhile are taken by their revisions. */
async function reload(): Promise<void> {
  const mine = ++loading;
  const fresh = (store = new CandleStore());
  older = "more";
  patterns.clear();
  live.subscribe(`candles:${timeframe}:${symbol}`, `patterns:${symbol}`);
  try {
    const [found, seen] = await Promise.all([
      history.candles(symbol, timeframe, PAGE),
      history.patterns(symbol, timeframe),
    ]);
    if (mine !== loading) return;
    for (const each of found) fresh.take(each);
    for (const each of seen) patterns.take(each);
    if (found.length < PAGE) older = "all";
    notice();
  } catch (error) {
    if (mine !== loading) return;
    notice(`History is away, tried again: ${error instanceof Error ? error.message : error}`);
    window.setTimeout(() => { if (mine === loading) void reload(); }, 2_000);
  }
  draw();
}

async function fillTape(name: string): Promise<void> {
  try {
    const found = await history.ticks(name, ROWS);
    if (name === symbol) tape.fill(found);
  } catch {
    // The next trade is shown all the same.
  }
}

async function loadOlder(): Promise<void> {
  const first = store.first;
  if (older !== "more" || !first) return;
  older = "loading";
  const mine = store;
  try {
    const found = await history.candles(symbol, timeframe, PAGE, first.t);
    if (mine !== store) return;
    for (const each of found) store.take(each);
    older = found.length < PAGE ? "all" : "more";
    if (found.length) draw();
  } catch {
    older = "more";
  }
}

function draw(): void {
  const finest = store.all().slice(-50).reduce((most, c) => Math.max(most, decimals(c.c), decimals(c.h)), cards.card(symbol).decimals);
  cards.card(symbol).decimals = finest;
  patterns.finest(finest);
  chart.show(store, patterns.all, finest);
}

function takeTick(tick: Tick): void {
  messages += 1;
  cards.card(tick.symbol).price(tick.price);
  if (!symbol && !wanted) void choose(tick.symbol);
  if (tick.symbol === symbol) tape.add(tick);
}

function takeCandle(candle: LiveCandle): void {
  messages += 1;
  if (candle.timeframe === "1m") minute(candle);
  if (candle.symbol !== symbol || candle.timeframe !== timeframe) return;
  const began = store.size;
  const did = store.take(candle);
  if (did === "ignored" || !chart.shows(store)) return; // still loading: it is drawn with the rest
  if (did === "older" && store.size > began) draw();
  else chart.update(candle, did === "newest");
  if (did === "corrected") chart.mark(patterns.all);
  if (store.size > began && chosenIndicators.length) chart.drawLines();
}

const minutes = new Map<string, number>();

function minute({ symbol: name, t, c }: LiveCandle): void {
  const before = minutes.get(name);
  if (before === undefined || t > before) {
    minutes.set(name, t);
    if (before !== undefined) cards.card(name).minute(Number(c));
    else void sparkline(name);
  }
  if (t >= (before ?? 0)) cards.card(name).price(c);
}

async function sparkline(name: string): Promise<void> {
  try {
    const found = await history.candles(name, "1m", 60);
    cards.card(name).history(found.map(({ c }) => Number(c)));
  } catch {
    // The next minute draws it: a line of a few points is no reason to disturb anybody.
  }
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
  const digits = cards.card(symbol).decimals;
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

function paint(): void {
  cards.paint();
  if (symbol) {
    const card = cards.card(symbol);
    tape.paint(card.decimals);
    const first = chart.firstSeen;
    if (card.last) {
      at("price").textContent = price(card.last, card.decimals);
      at("change").textContent = first ? `${change(Number(card.last), Number(first.o))} in view` : "";
      at("change").className = `change ${first && Number(card.last) < Number(first.o) ? "down" : "up"}`;
    }
    legend();
  }
  window.setTimeout(() => requestAnimationFrame(paint), 60);
}

function eachSecond(): void {
  at("rate").textContent = `${messages} messages/s`;
  at("seam").textContent = store.last ? `${store.size} candles to ${time(store.last.t)}` : "";
  const pill = at("connection");
  if (pill.dataset.state === "live" && latencyMs !== undefined)
    pill.textContent = `live · ${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms`;
  messages = 0;
}

async function poll(): Promise<void> {
  try {
    for (const each of await history.latest()) {
      const card = cards.card(each.symbol);
      if (each.price && !card.last) card.price(each.price);
      card.quote(each);
      if (each.symbol === symbol) at("quote").textContent = each.bid && each.ask ? `bid ${price(each.bid, card.decimals)}  ask ${price(each.ask, card.decimals)}` : "";
      if (!minutes.has(each.symbol)) {
        minutes.set(each.symbol, 0);
        void sparkline(each.symbol);
      }
    }
    for (const each of await history.feeds()) cards.card(each.instrument).feed(each.feed, each.state);
  } catch {
    // The connection's state says it already; the next poll tries again.
  }
  window.setTimeout(() => void poll(), 5_000);
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
    ...RANGES.map(([name, ms]) => button(name, () => chart.last(Math.max(10, ms / LENGTH_MS[timeframe]!)))),
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

async function begin(): Promise<void> {
  theme();
  controls();
  if (TIMEFRAMES.includes(wantedTimeframe)) timeframe = wantedTimeframe;
  live.subscribe("ticks:*", "candles:1m:*", "alerts:*");
  void loadAlerts();
  live.start();
  window.setInterval(eachSecond, 1_000);
  requestAnimationFrame(paint);
  await poll();
  const first = cards.symbols.includes(wanted) ? wanted : cards.symbols[0];
  wanted = "";
  if (first && !symbol) await choose(first);
}

Object.assign(window, {
  kandle: {
    /** What the chart shows now; browser tests hold it against the API. */
    state: () => ({ symbol, timeframe, candles: store.all(), drawn: chart.drawn(), corrected: [...store.corrected], patterns: patterns.all, marked: chart.marked() }),
  },
});

void begin();
