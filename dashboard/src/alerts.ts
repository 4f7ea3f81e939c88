/** Rules that came true: a list of them, and a word on the screen when another does. */

import { decimal, stamp } from "./format";
import type { Alert } from "./live";

const ENTRIES = 100;
const SHOWN_MS = 10_000;
const TOASTS = 4;

export class Alerts {
  private readonly known = new Map<string, Alert>();
  private readonly announced = new Set<string>();
  /** Whether the browser notifies, with a sound, of each that is new. */
  isLoud = false;

  constructor(
    private readonly list: HTMLElement,
    private readonly count: HTMLElement,
    private readonly toasts: HTMLElement,
    private readonly onChoose: (alert: Alert) => void,
  ) {
    this.draw();
  }

  /** Take an alert; one that is `fresh` is announced on the screen, each once, also where history was first. */
  take(alert: Alert, fresh: boolean): void {
    const key = `${alert.rule_id}/${alert.candle_start}`;
    if (!this.known.has(key)) {
      this.known.set(key, alert);
      this.draw();
    }
    if (!fresh || this.announced.has(key)) return;
    this.announced.add(key);
    this.announce(alert);
  }

  private draw(): void {
    const all = [...this.known.values()].sort((a, b) => b.timestamp - a.timestamp).slice(0, ENTRIES);
    this.count.textContent = all.length ? String(all.length) : "";
    if (all.length) return this.list.replaceChildren(...all.map((each) => this.entry(each)));
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = "No alert yet. Add a rule above, or right-click a price on the chart.";
    this.list.replaceChildren(none);
  }

  private entry(alert: Alert): HTMLElement {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "alert";
    made.title = "Show it on the chart";
    made.onclick = () => this.onChoose(alert);
    const rule = document.createElement("b");
    rule.textContent = alert.rule;
    const line = document.createElement("span");
    line.className = "muted";
    const value = alert.value ?? alert.trigger_price;
    line.textContent = `${stamp(alert.timestamp)}${value ? ` at ${decimal(value)}` : ""}`;
    made.append(rule, line);
    return made;
  }

  private announce(alert: Alert): void {
    const toast = this.entry(alert);
    toast.className = "toast";
    const gone = () => toast.remove();
    toast.addEventListener("click", gone);
    window.setTimeout(gone, SHOWN_MS);
    this.toasts.append(toast);
    if (this.isLoud) notify(alert);
    while (this.toasts.children.length > TOASTS) this.toasts.firstElementChild!.remove();
  }
}

const TONE_HZ = 880;
const TONE_S = 0.2;

/** A notification of the browser where it is allowed, and a tone. */
function notify({ rule, value, trigger_price }: Alert): void {
  if (typeof Notification !== "undefined" && Notification.permission === "granted") {
    const told = value ?? trigger_price;
    new Notification(rule, told ? { body: `at ${decimal(told)}` } : {});
  }
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  tone.frequency.value = TONE_HZ;
  tone.connect(sound.destination);
  tone.onended = () => void sound.close();
  tone.start();
  tone.stop(sound.currentTime + TONE_S);
}
