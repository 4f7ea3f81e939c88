/** The alert rules panel: add, list, edit, mute, test and remove rules; opt in to browser notifications. */

import { byId, button, replaceRows } from "../browser/elements";
import * as alertHistory from "../server/alert_history";

/** Quotes a symbol for a rule if it contains spaces. */
export const quoteSymbol = (symbol: string): string => (symbol.includes(" ") ? `"${symbol}"` : symbol);

export class AlertRules {
  private readonly input = byId<HTMLInputElement>("rule");
  /** Id of the rule being edited; undefined while adding one. */
  private editedId: string | undefined;

  constructor(
    private readonly onSound: (on: boolean) => void,
    private readonly symbol: () => string,
    private readonly onHistory: (rule: alertHistory.AlertRule) => void,
  ) {
    byId<HTMLFormElement>("rule-form").onsubmit = (event) => {
      event.preventDefault();
      void this.save();
    };
    this.input.onfocus = () => { if (!this.input.value && this.symbol()) this.input.value = `${quoteSymbol(this.symbol())} close > `; };
    this.input.onkeydown = (event) => { if (event.key === "Escape") this.clear(); };
    byId("rule-test").onclick = () => void this.test(this.input.value);
    byId("notify").onclick = () => void this.toggleNotifications();
  }

  /** Fills the form with a rule, for editing an existing rule or adding a new one. */
  fillForm(rule: string, id?: string): void {
    this.editedId = id;
    byId("rule-add").textContent = id ? "Save" : "Add";
    byId("tab-alerts").click();
    this.input.value = rule;
    this.input.focus();
  }

  async load(): Promise<void> {
    const rules = await alertHistory.fetchRules().catch(() => undefined);
    if (rules) replaceRows(byId("rules"), rules.map((each) => this.row(each)));
  }

  private row(each: alertHistory.AlertRule): HTMLElement {
    const { id, rule, alerts, muted, posted } = each;
    const row = document.createElement("li");
    const text = Object.assign(document.createElement("span"), { textContent: rule });
    const count = [alerts ? `${alerts} ×` : "", muted ? "muted" : "", posted ? "posted" : ""].filter(Boolean).join(", ");
    row.append(text, Object.assign(document.createElement("span"), { className: "muted", textContent: count }));
    const add = (name: string, onClick: () => void) => row.append(button(name, onClick, { "aria-label": `${name} ${rule}` }));
    add("History", () => this.onHistory(each));
    add("Test", () => void this.test(rule));
    add(muted ? "Unmute" : "Mute", () => void this.attempt(() => alertHistory.muteRule(id, !muted)));
    add("Edit", () => this.fillForm(rule, id));
    add("Remove", () => void this.attempt(() => alertHistory.removeRule(id)));
    return row;
  }

  private async save(): Promise<void> {
    const rule = this.input.value;
    const id = this.editedId;
    const saved = await this.attempt(async () => (id ? alertHistory.changeRule(id, rule) : alertHistory.addRule(rule)));
    if (saved) this.clear();
  }

  private clear(): void {
    this.editedId = undefined;
    this.input.value = "";
    byId("rule-add").textContent = "Add";
  }

  /** Applies a change, shows its note or error, and reloads the rules. Returns whether it succeeded. */
  private async attempt(change: () => Promise<string | null | void>): Promise<boolean> {
    let ok = true;
    this.showNote("Saving…", false);
    try {
      this.showNote((await change()) ?? "", false);
    } catch (error) {
      ok = false;
      this.showNote(error instanceof Error ? error.message : String(error), true);
    }
    await this.load();
    return ok;
  }

  private async test(rule: string): Promise<void> {
    this.showNote("Sending…", false);
    try {
      const results = await alertHistory.testRule(rule.trim() || undefined);
      const lines = results.map(({ target, sent, reason }) => `${target}: ${sent ? "sent" : `not sent, ${reason}`}`);
      this.showNote(lines.join("\n") || "ALERT_URLS is empty: no service is notified.", results.some(({ sent }) => !sent));
    } catch (error) {
      this.showNote(error instanceof Error ? error.message : String(error), true);
    }
  }

  private showNote(text: string, isProblem: boolean): void {
    byId("rule-note").textContent = text;
    byId("rule-note").hidden = !text;
    byId("rule-note").classList.toggle("down", isProblem);
  }

  /** Toggles browser notifications and sound, asking for permission when needed. */
  private async toggleNotifications(): Promise<void> {
    const isOn = byId("notify").getAttribute("aria-pressed") !== "true";
    const permission = isOn && typeof Notification !== "undefined" && Notification.permission !== "granted" ? await Notification.requestPermission() : "";
    if (permission === "denied") this.showNote("The browser blocks notifications; the sound is on.", false);
    byId("notify").setAttribute("aria-pressed", String(isOn));
    this.onSound(isOn);
  }
}
