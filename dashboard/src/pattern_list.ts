/** Patterns of the chosen symbol and timeframe: the newest first, retracted ones struck out. */

import { price, time } from "./format";
import type { Pattern } from "./live";
import type { Outcomes } from "./history";
import { title } from "./pattern_names";

const ENTRIES = 100;

export class PatternList {
  private readonly byId = new Map<string, Pattern>();
  private decimals = 0;
  private outcomes: Outcomes | undefined;
  private from = -Infinity;
  private to = Infinity;

  constructor(
    private readonly box: HTMLElement,
    private readonly count: HTMLElement,
    private readonly onChoose: (pattern: Pattern) => void,
  ) {
    this.draw();
  }

  get all(): Pattern[] {
    return [...this.byId.values()].sort((a, b) => b.timestamp - a.timestamp);
  }

  /** How many decimals prices of the chosen symbol have. */
  finest(decimals: number): void {
    if (decimals === this.decimals) return;
    this.decimals = decimals;
    this.draw();
  }

  /** List those that became known in a range of time, ms since 1970. */
  view(from: number, to: number): void {
    if (from === this.from && to === this.to) return;
    [this.from, this.to] = [from, to];
    this.draw();
  }

  /** Say beside each what followed its like. */
  judge(outcomes: Outcomes | undefined): void {
    this.outcomes = outcomes;
    this.draw();
  }

  clear(): void {
    this.byId.clear();
    this.outcomes = undefined;
    this.draw();
  }

  /** Take patterns; of each the highest revision counts. True where anything is new. */
  take(...patterns: Pattern[]): boolean {
    const fresh = patterns.filter(({ id, revision }) => revision > (this.byId.get(id)?.revision ?? -1));
    for (const each of fresh) this.byId.set(each.id, each);
    if (fresh.length) this.draw();
    return fresh.length > 0;
  }

  private draw(): void {
    const all = this.all.filter(({ timestamp: t }) => t > this.from && t <= this.to);
    this.count.textContent = all.length ? String(all.filter((p) => p.status === "active").length) : "";
    if (!all.length) {
      this.box.innerHTML = '<p class="none">No pattern in view. They appear as candles close.</p>';
      return;
    }
    this.box.replaceChildren(...all.slice(0, ENTRIES).map((each) => this.entry(each)));
  }

  private entry(pattern: Pattern): HTMLElement {
    const element = document.createElement("button");
    element.type = "button";
    element.className = `pattern ${pattern.status}`;
    element.title = "Show it on the chart";
    element.onclick = () => this.onChoose(pattern);
    const head = line("head");
    const side = pattern.direction > 0 ? "up" : pattern.direction < 0 ? "down" : "muted";
    head.append(
      span(title(pattern.pattern_type), "name"),
      span(pattern.direction > 0 ? "▲ bullish" : pattern.direction < 0 ? "▼ bearish" : "● neither way", side),
    );
    const told = pattern.status === "retracted" ? "retracted by a correction" : pattern.level;
    const text = line("muted");
    text.textContent = `${time(pattern.timestamp)} at ${price(pattern.trigger_price, this.decimals)} · ${Math.round(pattern.confidence * 100)} % · ${told}`;
    const meter = line("meter");
    const fill = document.createElement("i");
    fill.style.width = `${Math.round(pattern.confidence * 100)}%`;
    meter.append(fill);
    const after = line("muted");
    after.textContent = followed(pattern, this.outcomes);
    element.append(head, text, meter, after);
    return element;
  }
}

/** `after 10 candles 58 % of 24 went its way (all candles: 51 %)`. */
export function followed({ pattern_type, direction }: Pattern, known: Outcomes | undefined): string {
  const found = known?.outcomes.find((each) => each.pattern_type === pattern_type && each.direction === direction);
  if (!known || !found || !direction) return "";
  if (found.hit_rate === null || found.base_hit_rate === null) return `none before with ${known.horizon} candles after it`;
  const percent = (rate: number): string => `${Math.round(rate * 100)} %`;
  const few = found.verdict === "few" ? "; too few to tell" : "";
  return `after ${known.horizon} candles ${percent(found.hit_rate)} of ${found.judged} went its way (all candles: ${percent(found.base_hit_rate)})${few}`;
}

function line(name: string): HTMLElement {
  const made = document.createElement("span");
  made.className = name;
  return made;
}

function span(text: string, name: string): HTMLElement {
  const made = line(name);
  made.textContent = text;
  return made;
}
