/** A card a symbol: price, change, sparkline, spread, state of its feed. */

import { change, decimal, price } from "./format";
import type { Latest } from "./history";

const POINTS = 60;

export class Cards {
  private readonly cards = new Map<string, Card>();
  private chosen = "";
  private filter = "";

  constructor(
    private readonly box: HTMLElement,
    private readonly onChoose: (symbol: string) => void,
  ) {
    this.empty();
  }

  get symbols(): string[] {
    return [...this.cards.keys()].sort();
  }

  /** The symbols that the search leaves. */
  get shown(): string[] {
    return this.symbols.filter((each) => this.matches(each));
  }

  card(symbol: string): Card {
    let card = this.cards.get(symbol);
    if (!card) {
      card = new Card(symbol, () => this.onChoose(symbol));
      this.cards.set(symbol, card);
      card.element.hidden = !this.matches(symbol);
      const next = this.symbols[this.symbols.indexOf(symbol) + 1];
      this.box.querySelector(".none")?.remove();
      this.box.insertBefore(card.element, next ? this.cards.get(next)!.element : null);
    }
    return card;
  }

  choose(symbol: string): void {
    this.chosen = symbol;
    for (const [name, card] of this.cards)
      card.element.setAttribute("aria-current", String(name === symbol));
    this.cards.get(symbol)?.element.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  search(text: string): void {
    this.filter = text.trim().toUpperCase();
    for (const [symbol, { element }] of this.cards) element.hidden = !this.matches(symbol);
  }

  neighbour(step: number): string | undefined {
    const shown = this.shown;
    return shown[Math.min(shown.length - 1, Math.max(0, shown.indexOf(this.chosen) + step))];
  }

  paint(): void {
    for (const card of this.cards.values()) card.paint();
  }

  private matches(symbol: string): boolean {
    return symbol.toUpperCase().includes(this.filter);
  }

  private empty(): void {
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = "No symbol yet. Ticks appear here as they come: try `kandle simulate`, or send one over UDP.";
    this.box.append(none);
  }
}

class Card {
  readonly element = document.createElement("button");
  decimals = 0;
  last = "";
  private before: number | undefined;
  private points: number[] = [];
  private stale = true;
  private readonly parts: Record<"last" | "side" | "spread" | "feed", HTMLElement>;
  private readonly canvas: HTMLCanvasElement;

  constructor(symbol: string, onChoose: () => void) {
    this.element.type = "button";
    this.element.className = "card";
    this.element.dataset.symbol = symbol;
    this.element.innerHTML =
      '<span class="symbol"></span><span class="last">–</span><canvas width="200" height="52" aria-hidden="true"></canvas><span class="side">–</span><span class="foot"><span class="venue"></span><span class="feed" hidden></span><span class="spread"></span></span>';
    const [, name = symbol, venue = ""] = /^(.*-.*)\.([^.]+)$/.exec(symbol) ?? [];
    this.element.querySelector(".symbol")!.textContent = name;
    this.element.querySelector(".venue")!.textContent = venue;
    this.element.title = symbol;
    this.element.addEventListener("click", onChoose);
    const part = (name: string) => this.element.querySelector<HTMLElement>(`.${name}`)!;
    this.parts = { last: part("last"), side: part("side"), spread: part("spread"), feed: part("feed") };
    this.canvas = this.element.querySelector("canvas")!;
  }

  /** A new price, exact text. */
  price(text: string): void {
    if (text === this.last) return;
    this.decimals = Math.max(this.decimals, text.split(".")[1]?.length ?? 0);
    const up = Number(text) >= Number(this.last || text);
    this.last = text;
    if (this.points.length) this.points[this.points.length - 1] = Number(text);
    this.stale = true;
    const flash = up ? "flash-up" : "flash-down";
    this.parts.last.classList.remove("flash-up", "flash-down");
    requestAnimationFrame(() => this.parts.last.classList.add(flash));
  }

  /** Closes of the last hour's minutes, oldest first. */
  history(closes: number[]): void {
    this.points = closes.slice(-POINTS);
    this.before = this.points[0];
    this.stale = true;
  }

  /** A minute has begun. */
  minute(close: number): void {
    this.points = [...this.points, close].slice(-POINTS);
    this.before = this.points[0];
    this.stale = true;
  }

  quote({ bid, ask, spread }: Latest): void {
    this.parts.spread.textContent = bid && ask && spread ? `spread ${decimal(spread)}` : "";
    this.parts.spread.title = bid && ask ? `bid ${decimal(bid)}, ask ${decimal(ask)}` : "";
  }

  feed(name: string, state: string): void {
    this.parts.feed.hidden = false;
    this.parts.feed.dataset.state = state;
    this.parts.feed.textContent = state;
    this.parts.feed.title = `feed ${name}: ${state}`;
  }

  /** Draw what has changed; called once a frame. */
  paint(): void {
    if (!this.stale || !this.last) return;
    this.stale = false;
    const now = Number(this.last);
    const rising = this.before === undefined || now >= this.before;
    this.parts.last.textContent = price(this.last, this.decimals);
    this.parts.side.textContent = change(now, this.before);
    this.parts.side.title = "against an hour ago";
    this.parts.side.className = `side ${rising ? "up" : "down"}`;
    this.element.setAttribute("aria-label", `${this.element.dataset.symbol} ${this.last}, ${this.parts.side.textContent} in an hour`);
    this.sparkline(rising);
  }

  private sparkline(rising: boolean): void {
    const context = this.canvas.getContext("2d")!;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    if (this.points.length < 2) return;
    const [low, high] = [Math.min(...this.points), Math.max(...this.points)];
    context.strokeStyle = getComputedStyle(this.element).getPropertyValue(rising ? "--up" : "--down");
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.beginPath();
    this.points.forEach((value, n) => {
      const x = (n / (this.points.length - 1)) * (width - 4) + 2;
      const y = height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
      n ? context.lineTo(x, y) : context.moveTo(x, y);
    });
    context.stroke();
  }
}

