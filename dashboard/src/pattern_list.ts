/** The pattern list of the selected symbol and timeframe: newest first, retracted ones struck out. */

import { at, button, select } from "./elements";
import { decimal, price, stamp } from "./format";
import type { Outcomes } from "./pattern_history";
import { checkbox } from "./list_controls";
import type { Pattern } from "./live";
import { EVERY_KIND, KINDS, passes, type Filter } from "./marks";
import { title } from "./pattern_names";
import { LEAST, type Settings } from "./settings";

const PAGE = 100;
/** Distance in pixels from the end of the list at which more is loaded. */
const NEAR_END = 80;

export class PatternList {
  private readonly byId = new Map<string, Pattern>();
  private decimals = 0;
  private outcomes: Outcomes | undefined;
  private from = -Infinity;
  private to = Infinity;
  /** How far the list extends before the view (ms since 1970), and its maximum length. */
  private deep = Infinity;
  private entries = PAGE;
  private readonly older: HTMLButtonElement;
  /** The filter; its `choice` applies to the chart only. */
  filter: Filter = EVERY_KIND;

  constructor(
    private readonly box: HTMLElement,
    private readonly count: HTMLElement,
    private readonly onChoose: (pattern: Pattern) => void,
    onEnd: () => void = () => undefined,
  ) {
    this.older = button("Older patterns", onEnd);
    box.addEventListener("scroll", () => {
      if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END) onEnd();
    }, { passive: true });
    this.older.className = "older";
    this.draw();
  }

  get all(): Pattern[] {
    return [...this.byId.values()].sort((a, b) => b.timestamp - a.timestamp);
  }

  /** Sets the decimals of prices. */
  finest(decimals: number): void {
    if (decimals === this.decimals) return;
    this.decimals = decimals;
    this.draw();
  }

  /** Lists the patterns detected in a time range, ms since 1970. */
  view(from: number, to: number): void {
    if (from === this.from && to === this.to) return;
    [this.from, this.to] = [from, to];
    this.draw();
  }

  /** Redraws the list after a change of filter, time zone or number format. */
  redraw(filter: Filter = this.filter): void {
    this.filter = filter;
    this.draw();
  }

  /** Sets the outcomes displayed with each pattern. */
  judge(outcomes: Outcomes | undefined): void {
    this.outcomes = outcomes;
    this.draw();
  }

  clear(): void {
    this.byId.clear();
    this.outcomes = undefined;
    [this.deep, this.entries] = [Infinity, PAGE];
    this.older.hidden = false;
    this.draw();
  }

  /** Hides the button for older patterns once all are listed. */
  end(): void {
    this.older.hidden = true;
  }

  /** Merges patterns by highest revision. Returns whether anything changed. */
  take(...patterns: Pattern[]): boolean {
    const fresh = patterns.filter(({ id, revision }) => revision > (this.byId.get(id)?.revision ?? -1));
    for (const each of fresh) this.byId.set(each.id, each);
    if (fresh.length) this.draw();
    return fresh.length > 0;
  }

  /** Lists the next page of cached older patterns. Returns false if there are none. */
  more(): boolean {
    const listed = this.listed;
    if (listed.length > this.entries) this.entries += PAGE;
    else {
      const earlier = this.wanted.filter(({ timestamp }) => timestamp <= Math.min(this.from, this.deep)).slice(0, PAGE);
      if (!earlier.length) return false;
      this.deep = earlier.at(-1)!.timestamp - 1;
      this.entries = this.listed.length;
    }
    this.draw();
    return true;
  }

  private get wanted(): Pattern[] {
    return this.all.filter((each) => passes(each, this.filter));
  }

  private get listed(): Pattern[] {
    return this.wanted.filter(({ timestamp: t }) => t > Math.min(this.from, this.deep) && t <= this.to);
  }

  private draw(): void {
    const all = this.listed;
    this.count.textContent = all.length ? String(all.filter((p) => p.status === "active").length) : "";
    const none = Object.assign(document.createElement("p"), { className: "none", textContent: "No such pattern in view. They appear as candles close." });
    const { id } = (document.activeElement as HTMLElement | null)?.dataset ?? {};
    this.box.replaceChildren(...(all.length ? all.slice(0, this.entries).map((each) => this.entry(each)) : [none]), this.older);
    if (id !== undefined) this.box.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
  }

  private entry(pattern: Pattern): HTMLElement {
    const element = document.createElement("button");
    element.type = "button";
    element.dataset.id = pattern.id;
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
    text.textContent = `${stamp(pattern.timestamp).slice(0, 16)} at ${price(pattern.trigger_price, this.decimals)} · ${Math.round(pattern.confidence * 100)} % · ${told}`;
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

/** Creates the filter controls for kind and confidence. */
export function patternFilter(settings: Settings): void {
  at("pattern-kinds").append(
    ...KINDS.map((kind) =>
      checkbox(kind, settings.now.kinds.includes(kind), (isOn) =>
        settings.set({ kinds: KINDS.filter((each) => (each === kind ? isOn : settings.now.kinds.includes(each))) }),
      ),
    ),
  );
  const texts = LEAST.map((each) => (each ? `≥ ${each} %` : "any"));
  select("pattern-least", texts, texts[LEAST.findIndex((each) => each === settings.now.least)]!, (text) => settings.set({ least: LEAST[texts.indexOf(text)]! }));
}

/** Describes the outcome of a pattern: `after 10 candles 58 % of 24 went its way (all candles: 51 %)`. */
export function followed({ pattern_type, direction }: Pattern, known: Outcomes | undefined): string {
  const found = known?.outcomes.find((each) => each.pattern_type === pattern_type && each.direction === direction);
  if (!known || !found || !direction) return "";
  if (found.hit_rate === null || found.base_hit_rate === null) return `none before with ${known.horizon} candles after it`;
  const percent = (rate: number): string => `${Math.round(rate * 100)} %`;
  const few = found.verdict === "few" ? "; too few to tell" : "";
  return `after ${known.horizon} candles ${percent(found.hit_rate)} of ${decimal(String(found.judged))} went its way (all candles: ${percent(found.base_hit_rate)})${few}`;
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
