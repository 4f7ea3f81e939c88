/** The pattern list of the selected symbol and timeframe: newest first, retracted ones struck out. */

import { byId, button, createLabel, select } from "../browser/elements";
import { decimal, price, dateTime } from "../model/format";
import type { Outcomes } from "../server/pattern_history";
import { checkbox } from "./list_controls";
import { MIN_CONFIDENCES, type Settings } from "../browser/settings";
import type { Pattern } from "../model/messages";
import { DEFAULT_FILTER, type Filter, passes, PATTERN_KINDS, title } from "../model/patterns";

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
  private earliest = Infinity;
  private limit = PAGE;
  private readonly olderButton: HTMLButtonElement;
  /** The filter; its `choice` applies to the chart only. */
  filter: Filter = DEFAULT_FILTER;

  constructor(
    private readonly box: HTMLElement,
    private readonly count: HTMLElement,
    private readonly onChoose: (pattern: Pattern) => void,
    onEnd: () => void = () => undefined,
  ) {
    this.olderButton = button("Older patterns", onEnd);
    box.addEventListener("scroll", () => {
      if (box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END) onEnd();
    }, { passive: true });
    this.olderButton.className = "older";
    this.draw();
  }

  get all(): Pattern[] {
    return [...this.byId.values()].sort((a, b) => b.timestamp - a.timestamp);
  }

  /** Sets the decimals of prices. */
  setDecimals(decimals: number): void {
    if (decimals === this.decimals) return;
    this.decimals = decimals;
    this.draw();
  }

  /** Lists the patterns detected in a time range, ms since 1970. */
  setRange(from: number, to: number): void {
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
  setOutcomes(outcomes: Outcomes | undefined): void {
    this.outcomes = outcomes;
    this.draw();
  }

  clear(): void {
    this.byId.clear();
    this.outcomes = undefined;
    [this.earliest, this.limit] = [Infinity, PAGE];
    this.olderButton.hidden = false;
    this.draw();
  }

  /** Hides the button for older patterns once all are listed. */
  hideOlder(): void {
    this.olderButton.hidden = true;
  }

  /** Merges patterns by highest revision. Returns whether anything changed. */
  merge(...patterns: Pattern[]): boolean {
    const changed = patterns.filter(({ id, revision }) => revision > (this.byId.get(id)?.revision ?? -1));
    for (const each of changed) this.byId.set(each.id, each);
    if (changed.length) this.draw();
    return changed.length > 0;
  }

  /** Lists the next page of cached older patterns. Returns false if there are none. */
  showMore(): boolean {
    const listed = this.listed;
    if (listed.length > this.limit) this.limit += PAGE;
    else {
      const next = this.filtered.filter(({ timestamp }) => timestamp <= Math.min(this.from, this.earliest)).slice(0, PAGE);
      if (!next.length) return false;
      this.earliest = next.at(-1)!.timestamp - 1;
      this.limit = this.listed.length;
    }
    this.draw();
    return true;
  }

  private get filtered(): Pattern[] {
    return this.all.filter((each) => passes(each, this.filter));
  }

  private get listed(): Pattern[] {
    return this.filtered.filter(({ timestamp: t }) => t > Math.min(this.from, this.earliest) && t <= this.to);
  }

  private draw(): void {
    const all = this.listed;
    this.count.textContent = all.length ? String(all.filter((p) => p.status === "active").length) : "";
    const empty = Object.assign(document.createElement("p"), { className: "none", textContent: "No matching pattern in view. New ones appear as candles close." });
    const { id } = (document.activeElement as HTMLElement | null)?.dataset ?? {};
    this.box.replaceChildren(...(all.length ? all.slice(0, this.limit).map((each) => this.createEntry(each)) : [empty]), this.olderButton);
    if (id !== undefined) this.box.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
  }

  private createEntry(pattern: Pattern): HTMLElement {
    const element = document.createElement("button");
    element.type = "button";
    element.dataset.id = pattern.id;
    element.className = `pattern ${pattern.status}`;
    element.title = "Show on the chart";
    element.onclick = () => this.onChoose(pattern);
    const head = createLabel("head", "");
    const side = pattern.direction > 0 ? "up" : pattern.direction < 0 ? "down" : "muted";
    head.append(
      createLabel("name", title(pattern.pattern_type)),
      createLabel(side, pattern.direction > 0 ? "▲ bullish" : pattern.direction < 0 ? "▼ bearish" : "● neutral"),
    );
    const state = pattern.status === "retracted" ? "retracted by a correction" : pattern.level;
    const text = `${dateTime(pattern.timestamp).slice(0, 16)} at ${price(pattern.trigger_price, this.decimals)} · ${Math.round(pattern.confidence * 100)} % · ${state}`;
    const meter = createLabel("meter", "");
    const fill = document.createElement("i");
    fill.style.width = `${Math.round(pattern.confidence * 100)}%`;
    meter.append(fill);
    element.append(head, createLabel("muted", text), meter, createLabel("muted", describeOutcome(pattern, this.outcomes)));
    return element;
  }
}

/** Creates the filter controls for kind and confidence. */
export function patternFilter(settings: Settings): void {
  byId("pattern-kinds").append(
    ...PATTERN_KINDS.map((kind) =>
      checkbox(kind, settings.now.kinds.includes(kind), (isOn) =>
        settings.set({ kinds: PATTERN_KINDS.filter((each) => (each === kind ? isOn : settings.now.kinds.includes(each))) }),
      ),
    ),
  );
  const texts = MIN_CONFIDENCES.map((each) => (each ? `≥ ${each} %` : "any"));
  select("pattern-least", texts, texts[MIN_CONFIDENCES.findIndex((each) => each === settings.now.least)]!, (text) => settings.set({ least: MIN_CONFIDENCES[texts.indexOf(text)]! }));
}

/** Describes the outcome of a pattern: `after 10 candles 58 % of 24 moved in its direction (all candles: 51 %)`. */
export function describeOutcome({ pattern_type, direction }: Pattern, outcomes: Outcomes | undefined): string {
  const outcome = outcomes?.outcomes.find((each) => each.pattern_type === pattern_type && each.direction === direction);
  if (!outcomes || !outcome || !direction) return "";
  if (outcome.hit_rate === null || outcome.base_hit_rate === null) return `no earlier one with ${outcomes.horizon} candles after it`;
  const percent = (rate: number): string => `${Math.round(rate * 100)} %`;
  const caveat = outcome.verdict === "few" ? "; too few to tell" : "";
  return `after ${outcomes.horizon} candles ${percent(outcome.hit_rate)} of ${decimal(String(outcome.judged))} moved in its direction (all candles: ${percent(outcome.base_hit_rate)})${caveat}`;
}
