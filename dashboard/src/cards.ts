/** The symbol list: virtualized, with a card for each visible symbol only. */

import { change, price, short } from "./format";
import { STALE_MS, ago } from "./freshness";
import type { Column, Instrument, Market } from "./market";
import { color } from "./theme";

/** Size of a card in pixels: height in the vertical list, width in the horizontal one of narrow screens. */
const HEIGHT = 48;
const WIDTH = 172;
const MARGIN = 2;
const FLASH_MS = 300;
/** Minimum interval between redraws of a sparkline. */
const LINE_EACH_MS = 1_000;

export class Cards {
  private readonly cards = new Map<string, Card>();
  private readonly spacer = document.createElement("div");
  private columns: readonly Column[] = [];
  private readonly narrow = matchMedia("(max-width: 720px)");
  private chosen = "";
  private filter = "";
  private seen = "";

  constructor(
    private readonly box: HTMLElement,
    private readonly market: Market,
    private readonly onChoose: (symbol: string) => void,
    private readonly onVisible: (symbols: string[]) => void,
    private readonly isFavourite: (symbol: string) => boolean,
  ) {
    this.spacer.className = "spacer";
    box.append(this.spacer);
    box.addEventListener("scroll", () => this.lay(), { passive: true });
    new ResizeObserver(() => this.lay()).observe(box);
  }

  /** The listed symbols: the search results, or the current group. */
  get shown(): string[] {
    return this.filter ? this.market.found(this.filter) : this.market.symbols;
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
    this.lay();
  }

  choose(symbol: string): void {
    this.chosen = symbol;
    const at = this.shown.indexOf(symbol);
    if (at >= 0) this.into(at);
    this.lay();
  }

  search(text: string): void {
    this.filter = text.trim().toUpperCase();
    this.lay();
  }

  neighbour(step: number): string | undefined {
    const shown = this.shown;
    return shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(this.chosen) + step))];
  }

  /** Creates the cards in the viewport and removes the others. */
  lay(): void {
    const shown = this.shown;
    const across = this.narrow.matches;
    const size = across ? WIDTH : HEIGHT;
    const [from, room] = across ? [this.box.scrollLeft, this.box.clientWidth] : [this.box.scrollTop, this.box.clientHeight];
    const first = Math.max(0, Math.floor(from / size) - MARGIN);
    const visible = shown.slice(first, Math.ceil((from + room) / size) + MARGIN);
    this.spacer.style.cssText = across ? `width: ${shown.length * size}px; height: 100%` : `height: ${shown.length * size}px`;
    for (const [symbol, card] of this.cards)
      if (!visible.includes(symbol)) {
        card.element.remove();
        this.cards.delete(symbol);
      }
    visible.forEach((symbol, n) => {
      let card = this.cards.get(symbol);
      if (!card) {
        card = new Card(this.market.get(symbol), this.columns, () => this.onChoose(symbol));
        this.cards.set(symbol, card);
        this.spacer.append(card.element);
      }
      const at = (first + n) * size;
      card.element.style.transform = across ? `translateX(${at}px)` : `translateY(${at}px)`;
      card.element.setAttribute("aria-current", String(symbol === this.chosen));
      card.element.classList.toggle("favourite", this.isFavourite(symbol));
    });
    this.box.querySelector(".none")?.remove();
    if (!shown.length) this.empty();
    const seen = visible.join("\n");
    if (seen !== this.seen) {
      this.seen = seen;
      this.onVisible(visible);
    }
  }

  paint(now: number): void {
    for (const card of this.cards.values()) card.paint(now);
  }

  private into(at: number): void {
    const across = this.narrow.matches;
    const size = across ? WIDTH : HEIGHT;
    const [from, room] = across ? [this.box.scrollLeft, this.box.clientWidth] : [this.box.scrollTop, this.box.clientHeight];
    const to = at * size < from ? at * size : (at + 1) * size > from + room ? (at + 1) * size - room : from;
    this.box.scrollTo(across ? { left: to } : { top: to });
  }

  private empty(): void {
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = this.filter
      ? `No symbol has ${this.filter} in its name.`
      : "No symbol yet. Ticks appear here as they come: try `kandle simulate`, or send one over UDP.";
    this.box.append(none);
  }
}

class Card {
  readonly element = document.createElement("button");
  private drawn = "";
  private aged = "";
  private flashing = 0;
  private line: { of: number[]; last: string; at: number } | undefined;
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
      '<span class="symbol"></span><span class="last">–</span><canvas width="124" height="32" aria-hidden="true"></canvas><span class="foot"><span class="age"></span><span class="venue"></span><span class="feed" hidden></span></span><span class="side">–</span>';
    const [, name = symbol, venue = ""] = /^(.*-.*)\.([^.]+)$/.exec(symbol) ?? [];
    this.element.querySelector(".symbol")!.textContent = name;
    this.element.querySelector(".venue")!.textContent = venue;
    this.element.title = symbol;
    this.element.addEventListener("click", onChoose);
    const part = (name: string) => this.element.querySelector<HTMLElement>(`.${name}`)!;
    this.parts = { last: part("last"), side: part("side"), age: part("age"), feed: part("feed") };
    this.canvas = this.element.querySelector("canvas")!;
    this.extras = columns.map((_, n) => {
      const made = this.element.appendChild(Object.assign(document.createElement("span"), { className: "extra" }));
      made.style.gridColumn = String(4 + n);
      return made;
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
    const age = Math.max(0, now - instrument.received);
    const aged = ago(age);
    if (aged !== this.aged) {
      this.aged = aged;
      parts.age.textContent = aged;
      parts.age.title = "since the last trade was received";
      this.element.classList.toggle("stale", age > STALE_MS);
    }
    if (!instrument.changed) return;
    instrument.changed = false;
    const before = instrument.before;
    const rising = before === undefined || Number(instrument.last) >= before;
    if (instrument.last !== this.drawn) {
      if (this.drawn) this.flash(instrument.up ? "up" : "down");
      this.drawn = instrument.last;
    }
    parts.last.textContent = price(instrument.last, instrument.decimals);
    parts.side.textContent = change(Number(instrument.last), before);
    parts.side.title = "against 24 hours ago";
    parts.side.className = `side ${before === undefined ? "muted" : rising ? "up" : "down"}`;
    this.columns.forEach((column, n) => {
      if (column === "session") {
        const open = instrument.sessionOpen === undefined ? undefined : Number(instrument.sessionOpen);
        this.extras[n]!.textContent = change(Number(instrument.last), open);
        this.extras[n]!.className = `extra ${open === undefined ? "" : Number(instrument.last) < open ? "down" : "up"}`;
        return;
      }
      const text = instrument.day[column];
      this.extras[n]!.textContent = !text ? "–" : column === "volume" ? short(Number(text)) : price(text, instrument.decimals);
    });
  }

  /** Flashes the price without a CSS animation, whose every frame would lay out and paint the whole page. */
  private flash(way: "up" | "down"): void {
    window.clearTimeout(this.flashing);
    const { classList } = this.parts.last;
    classList.remove("flash-up", "flash-down");
    classList.add(`flash-${way}`);
    this.flashing = window.setTimeout(() => classList.remove(`flash-${way}`), FLASH_MS);
  }

  private sparkline(): void {
    const { points: of, last, before } = this.instrument;
    const { line } = this;
    const isOther = of !== line?.of || (last !== line.last && performance.now() - line.at >= LINE_EACH_MS);
    if (!isOther) return;
    this.line = { of, last, at: performance.now() };
    const context = this.canvas.getContext("2d")!;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    const points = [...of.slice(0, -1), Number(last)];
    if (points.length < 2) return;
    const [low, high] = [Math.min(...points), Math.max(...points)];
    context.strokeStyle = color(before === undefined || Number(last) >= before ? "--up" : "--down");
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
