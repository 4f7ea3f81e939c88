/** The alert list, for all rules or one, and toasts for new alerts. */

import { byId, createLabel } from "../browser/elements";
import { decimal, dateTime } from "../model/format";
import * as alertHistory from "../server/alert_history";
import type { Alert } from "../model/messages";

const TOAST_MS = 10_000;
const MAX_TOASTS = 4;
/** Alerts in memory, older pages included; beyond, the list begins again with the newest page. */
const MAX_ALERTS = 500;
/** Beyond, new alerts until the newest page is asked for again, if it did not come. */
const RETRY_ALERTS = 10;

export class Alerts {
  private readonly byKey = new Map<string, Alert>();
  private readonly announced = new Set<string>();
  /** Whether new alerts raise a browser notification with a sound. */
  notifies = false;
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
    byId("alerts-older").onclick = () => void this.load(this.cursors.get(this.rule?.id ?? "") ?? undefined);
    byId("alerts-of").querySelector("button")!.onclick = () => this.filterBy(undefined);
    this.draw();
  }

  /** Filters the list by a rule, or lists all alerts. */
  filterBy(rule: alertHistory.AlertRule | undefined): void {
    this.rule = rule;
    this.draw();
    void this.load();
  }

  /** Loads a page of the list, by default the newest. Without an answer, known alerts stay listed and live ones arrive. */
  async load(cursor?: string): Promise<void> {
    const id = this.rule?.id ?? "";
    const known = [...this.byKey.keys()];
    const page = await alertHistory.fetchAlerts(id || undefined, cursor).catch(() => undefined);
    if (!page) return;
    if (!cursor && this.byKey.size >= MAX_ALERTS) {
      for (const each of known) [this.byKey, this.announced].forEach((all) => all.delete(each));
      this.cursors.clear();
    }
    for (const each of page.alerts) this.byKey.set(key(each), each);
    if (cursor || !this.cursors.has(id)) this.cursors.set(id, page.next);
    this.draw();
  }

  /** Adds an alert. A new one is announced in a toast, once, even if history delivered it first. */
  add(alert: Alert, isNew: boolean): void {
    const id = key(alert);
    if (!this.byKey.has(id)) {
      if (this.byKey.size >= MAX_ALERTS && this.byKey.size % RETRY_ALERTS === 0) void this.load();
      this.byKey.set(id, alert);
      this.draw();
    }
    if (!isNew || alert.muted || this.announced.has(id)) return;
    this.announced.add(id);
    this.announce(alert);
  }

  private draw(): void {
    const { rule } = this;
    this.count.textContent = this.byKey.size ? String(this.byKey.size) : "";
    byId("alerts-of").hidden = !rule;
    byId("alerts-of").querySelector("span")!.textContent = rule ? `Alerts for ${rule.rule}` : "";
    byId("alerts-older").hidden = !this.cursors.get(rule?.id ?? "");
    const all = [...this.byKey.values()].filter((each) => !rule || each.rule_id === rule.id).sort((a, b) => b.timestamp - a.timestamp);
    if (all.length) return this.list.replaceChildren(...all.map((each) => this.createEntry(each)));
    const empty = document.createElement("p");
    empty.className = "none";
    empty.textContent = rule ? "No alert for this rule yet." : "No alerts yet. Add a rule above, or right-click a price on the chart.";
    this.list.replaceChildren(empty);
  }

  private createEntry(alert: Alert): HTMLElement {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "alert";
    element.title = "Show on the chart";
    element.onclick = () => this.onChoose(alert);
    const rule = document.createElement("b");
    rule.textContent = alert.rule;
    const value = alert.value ?? alert.trigger_price;
    element.append(rule, createLabel("muted", `${dateTime(alert.timestamp)}${value ? ` at ${decimal(value)}` : ""}`));
    return element;
  }

  private announce(alert: Alert): void {
    const toast = this.createEntry(alert);
    toast.className = "toast";
    const remove = () => toast.remove();
    toast.addEventListener("click", remove);
    window.setTimeout(remove, TOAST_MS);
    this.toasts.append(toast);
    if (this.notifies) notify(alert);
    while (this.toasts.children.length > MAX_TOASTS) this.toasts.firstElementChild!.remove();
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
    const price = value ?? trigger_price;
    new Notification(rule, price ? { body: `at ${decimal(price)}` } : {});
  }
  const sound = new AudioContext();
  const tone = sound.createOscillator();
  tone.frequency.value = TONE_HZ;
  tone.connect(sound.destination);
  tone.onended = () => void sound.close();
  tone.start();
  tone.stop(sound.currentTime + TONE_S);
}
