/** The symbol list: virtualized, with a card for each visible symbol only. */

import { change, compact, shortPrice } from "../model/format";
import { STALE_MS, ago } from "../model/freshness";
import type { Column, Instrument, Market } from "../model/market";
import { color } from "../browser/theme";

/** Size of a card in pixels: height in the vertical list, width in the horizontal one of narrow screens. */
const HEIGHT = 48;
const WIDTH = 172;
const MARGIN = 2;
const FLASH_MS = 300;
/** Minimum interval between redraws of a sparkline. */
const SPARKLINE_INTERVAL_MS = 1_000;

export class Cards {
  private readonly cards = new Map<string, Card>();
  private readonly spacer = document.createElement("div");
  private columns: readonly Column[] = [];
  private readonly narrow = matchMedia("(max-width: 720px)");
  private selected = "";
  private filter = "";
  private visibleKey = "";

  constructor(
    private readonly box: HTMLElement,
    private readonly market: Market,
    private readonly onChoose: (symbol: string) => void,
    private readonly onVisible: (symbols: string[]) => void,
    private readonly isFavourite: (symbol: string) => boolean,
  ) {
    this.spacer.className = "spacer";
    box.append(this.spacer);
    box.addEventListener("scroll", () => this.layout(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(box);
  }

  /** The listed symbols: the search results, or the current group. */
  get listed(): string[] {
    return this.filter ? this.market.search(this.filter) : this.market.symbols;
  }

  /** Sets the columns shown beside price and change. */
  setColumns(columns: readonly Column[]): void {
    this.columns = columns;
    this.redraw();
  }

  /** Rebuilds all cards after a change of columns or number format. */
  redraw(): void {
    for (const card of this.cards.values()) card.element.remove();
    this.cards.clear();
    this.layout();
  }

  select(symbol: string): void {
    this.selected = symbol;
    const index = this.listed.indexOf(symbol);
    if (index >= 0) this.scrollTo(index);
    this.layout();
  }

  search(text: string): void {
    this.filter = text.trim().toUpperCase();
    this.layout();
  }

  neighbour(step: number): string | undefined {
    const listed = this.listed;
    return listed[Math.min(listed.length - 1, Math.max(0, listed.indexOf(this.selected) + step))];
  }

  /** Creates the cards in the viewport and removes the others. */
  layout(): void {
    const listed = this.listed;
    const isHorizontal = this.narrow.matches;
    const size = isHorizontal ? WIDTH : HEIGHT;
    const [from, viewport] = isHorizontal ? [this.box.scrollLeft, this.box.clientWidth] : [this.box.scrollTop, this.box.clientHeight];
    const first = Math.max(0, Math.floor(from / size) - MARGIN);
    const visible = listed.slice(first, Math.ceil((from + viewport) / size) + MARGIN);
    this.spacer.style.cssText = isHorizontal ? `width: ${listed.length * size}px; height: 100%` : `height: ${listed.length * size}px`;
    for (const [symbol, card] of this.cards)
      if (!visible.includes(symbol)) {
        card.element.remove();
        this.cards.delete(symbol);
      }
    const focused = document.activeElement as HTMLElement | null;
    visible.forEach((symbol, n) => {
      let card = this.cards.get(symbol);
      if (!card) {
        card = new Card(this.market.get(symbol), this.columns, () => this.onChoose(symbol));
        this.cards.set(symbol, card);
      }
      // The Tab key follows the order of the elements.
      if (this.spacer.children[n] !== card.element) this.spacer.insertBefore(card.element, this.spacer.children[n] ?? null);
      const offset = (first + n) * size;
      card.element.style.transform = isHorizontal ? `translateX(${offset}px)` : `translateY(${offset}px)`;
      card.element.setAttribute("aria-current", String(symbol === this.selected));
      card.element.classList.toggle("favourite", this.isFavourite(symbol));
    });
    if (this.spacer.contains(focused)) focused!.focus({ preventScroll: true }); // it may have moved
    this.box.querySelector(".none")?.remove();
    if (!listed.length) this.showEmpty();
    const key = visible.join("\n");
    if (key !== this.visibleKey) {
      this.visibleKey = key;
      this.onVisible(visible);
    }
  }

  paint(now: number): void {
    for (const card of this.cards.values()) card.paint(now);
  }

  private scrollTo(index: number): void {
    const isHorizontal = this.narrow.matches;
    const size = isHorizontal ? WIDTH : HEIGHT;
    const [from, room] = isHorizontal ? [this.box.scrollLeft, this.box.clientWidth] : [this.box.scrollTop, this.box.clientHeight];
    const to = index * size < from ? index * size : (index + 1) * size > from + room ? (index + 1) * size - room : from;
    this.box.scrollTo(isHorizontal ? { left: to } : { top: to });
  }

  private showEmpty(): void {
    const message = document.createElement("p");
    message.className = "none";
    message.textContent = this.filter
      ? `No symbol contains ${this.filter}.`
      : "No symbols yet. They appear with their first trade: try `kandle simulate`, or send a tick over UDP.";
    this.box.append(message);
  }
}

class Card {
  readonly element = document.createElement("button");
  private drawnPrice = "";
  private drawnAge = "";
  private flashing = 0;
  private line: { source: number[]; last: string; at: number } | undefined;
  private readonly parts: Record<"last" | "side" | "age" | "feed", HTMLElement>;
  private readonly extras: HTMLElement[];
  private readonly canvas: HTMLCanvasElement;

  constructor(
    private readonly instrument: Instrument,
    private readonly columns: readonly Column[],
    onChoose: () => void,
  ) {
    const { symbol } = instrument;
    this.element.type = "button";
    this.element.className = "card";
    this.element.dataset.symbol = symbol;
    this.element.innerHTML =
      '<span class="line"><span class="symbol"></span><span class="last">–</span></span>' +
      '<span class="line"><canvas width="124" height="32" aria-hidden="true"></canvas><span class="foot"><span class="age"></span><span class="venue"></span><span class="feed" hidden></span></span><span class="side">–</span></span>';
    const [, name = symbol, venue = ""] = /^(.*-.*)\.([^.]+)$/.exec(symbol) ?? [];
    this.element.querySelector(".symbol")!.textContent = name;
    this.element.querySelector(".venue")!.textContent = venue;
    this.element.title = symbol;
    this.element.addEventListener("click", onChoose);
    const part = (name: string) => this.element.querySelector<HTMLElement>(`.${name}`)!;
    this.parts = { last: part("last"), side: part("side"), age: part("age"), feed: part("feed") };
    this.canvas = this.element.querySelector("canvas")!;
    this.extras = columns.map((_, n) => {
      const extra = this.element.appendChild(Object.assign(document.createElement("span"), { className: "extra" }));
      extra.style.gridColumn = String(2 + n);
      return extra;
    });
    instrument.changed = true;
  }

  /** Updates what has changed. */
  paint(now: number): void {
    const { instrument, parts } = this;
    if (parts.feed.textContent !== instrument.feed) {
      parts.feed.hidden = !instrument.feed;
      parts.feed.dataset.state = parts.feed.textContent = instrument.feed;
    }
    if (!instrument.last) return;
    this.sparkline();
    const age = now - instrument.t;
    const aged = ago(age);
    if (aged !== this.drawnAge) {
      this.drawnAge = aged;
      parts.age.textContent = aged;
      parts.age.title = "time since the last trade";
      this.element.classList.toggle("stale", age > STALE_MS);
    }
    if (!instrument.changed) return;
    instrument.changed = false;
    const before = instrument.dayAgoPrice;
    const rising = before === undefined || Number(instrument.last) >= before;
    if (instrument.last !== this.drawnPrice) {
      if (this.drawnPrice) this.flash(instrument.up ? "up" : "down");
      this.drawnPrice = instrument.last;
    }
    parts.last.textContent = shortPrice(instrument.last, instrument.decimals);
    parts.side.textContent = change(Number(instrument.last), before);
    parts.side.title = "change in 24 hours";
    parts.side.className = `side ${before === undefined ? "muted" : rising ? "up" : "down"}`;
    this.columns.forEach((column, n) => {
      if (column === "session") {
        const open = instrument.sessionOpen === undefined ? undefined : Number(instrument.sessionOpen);
        this.extras[n]!.textContent = change(Number(instrument.last), open);
        this.extras[n]!.className = `extra ${open === undefined ? "" : Number(instrument.last) < open ? "down" : "up"}`;
        return;
      }
      const text = instrument.stats[column];
      this.extras[n]!.textContent = !text ? "–" : column === "volume" ? compact(Number(text)) : shortPrice(text, instrument.decimals);
    });
  }

  /** Flashes the price without a CSS animation, whose every frame would lay out and paint the whole page. */
  private flash(direction: "up" | "down"): void {
    window.clearTimeout(this.flashing);
    const { classList } = this.parts.last;
    classList.remove("flash-up", "flash-down");
    classList.add(`flash-${direction}`);
    this.flashing = window.setTimeout(() => classList.remove(`flash-${direction}`), FLASH_MS);
  }

  private sparkline(): void {
    const { points: source, last, dayAgoPrice } = this.instrument;
    const { line } = this;
    const isChanged = source !== line?.source || (last !== line.last && performance.now() - line.at >= SPARKLINE_INTERVAL_MS);
    if (!isChanged) return;
    this.line = { source, last, at: performance.now() };
    const context = this.canvas.getContext("2d")!;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    const points = [...source.slice(0, -1), Number(last)];
    if (points.length < 2) return;
    const [low, high] = [Math.min(...points), Math.max(...points)];
    context.strokeStyle = color(dayAgoPrice === undefined || Number(last) >= dayAgoPrice ? "--up" : "--down");
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach((value, n) => {
      const x = (n / (points.length - 1)) * (width - 4) + 2;
      const y = height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
      n ? context.lineTo(x, y) : context.moveTo(x, y);
    });
    context.stroke();
  }
}
