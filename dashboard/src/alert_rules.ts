/** The alert rules panel: add, list, edit, mute, test and remove rules; opt in to browser notifications. */

import { at, button } from "./elements";
import * as alertHistory from "./alert_history";

/** Quotes a symbol for a rule if it contains spaces. */
export const subject = (symbol: string): string => (symbol.includes(" ") ? `"${symbol}"` : symbol);

export class AlertRules {
  private readonly input = at<HTMLInputElement>("rule");
  /** Id of the rule being edited; undefined while adding one. */
  private edited: string | undefined;

  constructor(
    private readonly onSound: (on: boolean) => void,
    private readonly symbol: () => string,
    private readonly onHistory: (rule: alertHistory.AlertRule) => void,
  ) {
    at<HTMLFormElement>("rule-form").onsubmit = (event) => {
      event.preventDefault();
      void this.save();
    };
    this.input.onfocus = () => { if (!this.input.value && this.symbol()) this.input.value = `${subject(this.symbol())} close > `; };
    this.input.onkeydown = (event) => { if (event.key === "Escape") this.clear(); };
    at("rule-test").onclick = () => void this.test(this.input.value);
    at("notify").onclick = () => void this.consent();
  }

  /** Fills the form with a rule, for editing an existing rule or adding a new one. */
  offer(rule: string, edited?: string): void {
    this.edited = edited;
    at("rule-add").textContent = edited ? "Save" : "Add";
    at("tab-alerts").click();
    this.input.value = rule;
    this.input.focus();
  }

  async read(): Promise<void> {
    const rules = await alertHistory.alertRules().catch(() => undefined);
    if (rules) at("rules").replaceChildren(...rules.map((each) => this.row(each)));
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
    add("Edit", () => this.offer(rule, id));
    add("Remove", () => void this.attempt(() => alertHistory.removeRule(id)));
    return row;
  }

  private async save(): Promise<void> {
    const rule = this.input.value;
    const edited = this.edited;
    const saved = await this.attempt(async () => (edited ? alertHistory.changeRule(edited, rule) : alertHistory.addRule(rule)));
    if (saved) this.clear();
  }

  private clear(): void {
    this.edited = undefined;
    this.input.value = "";
    at("rule-add").textContent = "Add";
  }

  /** Applies a change, shows its note or error, and reloads the rules. Returns whether it succeeded. */
  private async attempt(change: () => Promise<string | null | void>): Promise<boolean> {
    let done = true;
    try {
      this.say((await change()) ?? "", false);
    } catch (error) {
      done = false;
      this.say(error instanceof Error ? error.message : String(error), true);
    }
    await this.read();
    return done;
  }

  private async test(rule: string): Promise<void> {
    this.say("Notifying…", false);
    try {
      const results = await alertHistory.testRule(rule.trim() || undefined);
      const said = results.map(({ target, sent, reason }) => `${target}: ${sent ? "sent" : `not sent, ${reason}`}`);
      this.say(said.join("\n") || "ALERT_URLS names no service: nobody is notified.", results.some(({ sent }) => !sent));
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
  }

  private say(text: string, isProblem: boolean): void {
    at("rule-note").textContent = text;
    at("rule-note").hidden = !text;
    at("rule-note").classList.toggle("down", isProblem);
  }

  /** Toggles browser notifications and sound, asking for permission when needed. */
  private async consent(): Promise<void> {
    const isOn = at("notify").getAttribute("aria-pressed") !== "true";
    const allowed = isOn && typeof Notification !== "undefined" && Notification.permission !== "granted" ? await Notification.requestPermission() : "";
    if (allowed === "denied") this.say("The browser does not allow notifications here; the sound is on.", false);
    at("notify").setAttribute("aria-pressed", String(isOn));
    this.onSound(isOn);
  }
}
