/** The alert list, for all rules or one, and toasts for new alerts. */

import { at } from "./elements";
import { decimal, stamp } from "./format";
import * as alertHistory from "./alert_history";
import type { Alert } from "./live";

const SHOWN_MS = 10_000;
const TOASTS = 4;

export class Alerts {
  private readonly known = new Map<string, Alert>();
  private readonly announced = new Set<string>();
  /** Whether new alerts raise a browser notification with a sound. */
  isLoud = false;
  /** The rule that the list is filtered by; undefined lists all alerts. */
  private rule: alertHistory.AlertRule | undefined;
  /** Cursor of the next page by rule id; null after the last page. */
  private readonly cursors = new Map<string, string | null>();

  constructor(
    private readonly list: HTMLElement,
    private readonly count: HTMLElement,
    private readonly toasts: HTMLElement,
    private readonly onChoose: (alert: Alert) => void,
  ) {
    at("alerts-older").onclick = () => void this.read(this.cursors.get(this.rule?.id ?? "") ?? undefined).catch(() => undefined);
    at("alerts-of").querySelector("button")!.onclick = () => void this.only(undefined);
    this.draw();
  }

  /** Filters the list by a rule, or lists all alerts. */
  async only(rule: alertHistory.AlertRule | undefined): Promise<void> {
    this.rule = rule;
    this.draw();
    await this.newest().catch(() => undefined); // cached alerts are already listed
  }

  /** Loads the newest page of the list. */
  async newest(): Promise<void> {
    await this.read(undefined);
  }

  private async read(cursor: string | undefined): Promise<void> {
    const id = this.rule?.id ?? "";
    const page = await alertHistory.alerts(id || undefined, cursor);
    for (const each of page.alerts) this.known.set(key(each), each);
    if (cursor || !this.cursors.has(id)) this.cursors.set(id, page.next);
    this.draw();
  }

  /** Adds an alert. A `fresh` one is announced in a toast, once, even if history delivered it first. */
  take(alert: Alert, fresh: boolean): void {
    const name = key(alert);
    if (!this.known.has(name)) {
      this.known.set(name, alert);
      this.draw();
    }
    if (!fresh || alert.muted || this.announced.has(name)) return;
    this.announced.add(name);
    this.announce(alert);
  }

  private draw(): void {
    const { rule } = this;
    this.count.textContent = this.known.size ? String(this.known.size) : "";
    at("alerts-of").hidden = !rule;
    at("alerts-of").querySelector("span")!.textContent = rule ? `Alerts of ${rule.rule}` : "";
    at("alerts-older").hidden = !this.cursors.get(rule?.id ?? "");
    const all = [...this.known.values()].filter((each) => !rule || each.rule_id === rule.id).sort((a, b) => b.timestamp - a.timestamp);
    if (all.length) return this.list.replaceChildren(...all.map((each) => this.entry(each)));
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = rule ? "It has not come true yet." : "No alert yet. Add a rule above, or right-click a price on the chart.";
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

function key({ rule_id, candle_start }: Alert): string {
  return `${rule_id}/${candle_start}`;
}

const TONE_HZ = 880;
const TONE_S = 0.2;

/** Raises a browser notification, if allowed, and plays a tone. */
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
