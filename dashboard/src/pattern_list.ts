/** Patterns of the chosen symbol and timeframe: the newest first, retracted ones struck out. */

import { title } from "./chart";
import { price, time } from "./format";
import type { Pattern } from "./live";

export class PatternList {
  private readonly byId = new Map<string, Pattern>();

  constructor(
    private readonly box: HTMLElement,
    private readonly count: HTMLElement,
  ) {
    this.draw();
  }

  get all(): Pattern[] {
    return [...this.byId.values()].sort((a, b) => b.timestamp - a.timestamp);
  }

  clear(): void {
    this.byId.clear();
    this.draw();
  }

  /** Take a pattern; the highest revision counts. */
  take(pattern: Pattern): boolean {
    const known = this.byId.get(pattern.id);
    if (known && known.revision >= pattern.revision) return false;
    this.byId.set(pattern.id, pattern);
    this.draw();
    return true;
  }

  private draw(): void {
    const all = this.all.slice(0, 100);
    this.count.textContent = all.length ? String(all.filter((p) => p.status === "active").length) : "";
    if (!all.length) {
      this.box.innerHTML = '<p class="none">No pattern in view. They appear as candles close.</p>';
      return;
    }
    this.box.replaceChildren(...all.map(entry));
  }
}

function entry(pattern: Pattern): HTMLElement {
  const element = document.createElement("article");
  element.className = `pattern ${pattern.status}`;
  const head = document.createElement("header");
  const name = document.createElement("span");
  name.textContent = title(pattern);
  const side = document.createElement("span");
  side.className = pattern.direction > 0 ? "up" : pattern.direction < 0 ? "down" : "muted";
  side.textContent = pattern.direction > 0 ? "▲" : pattern.direction < 0 ? "▼" : "•";
  head.append(name, side);
  const line = document.createElement("div");
  line.className = "muted";
  line.textContent = `${time(pattern.timestamp)}  at ${price(pattern.trigger_price, 0)}  ${Math.round(pattern.confidence * 100)} % ${pattern.status === "retracted" ? "· retracted by a correction" : `· ${pattern.level}`}`;
  const meter = document.createElement("div");
  meter.className = "meter";
  const fill = document.createElement("i");
  fill.style.width = `${Math.round(pattern.confidence * 100)}%`;
  meter.append(fill);
  element.append(head, line, meter);
  return element;
}
