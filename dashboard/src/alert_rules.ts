/** The rules of alerts: added by a form, listed, removed; a notification of the browser after consent. */

import { at, button } from "./elements";
import * as history from "./history";

export class AlertRules {
  private readonly input = at<HTMLInputElement>("rule");
  /** The rule that the next one takes the place of. */
  private edited: string | undefined;

  constructor(private readonly onSound: (on: boolean) => void, private readonly symbol: () => string) {
    at<HTMLFormElement>("rule-form").onsubmit = (event) => {
      event.preventDefault();
      void this.add();
    };
    this.input.onfocus = () => { if (!this.input.value && this.symbol()) this.input.value = `${this.symbol()} close > `; };
    at("notify").onclick = () => void this.consent();
  }

  /** Offer a rule, to be changed or added as it is. */
  offer(rule: string, edited?: string): void {
    this.edited = edited;
    at("tab-alerts").click();
    this.input.value = rule;
    this.input.focus();
  }

  async read(): Promise<void> {
    const rules = await history.alertRules().catch(() => undefined);
    if (!rules) return;
    at("rules").replaceChildren(
      ...rules.map(({ id, rule, alerts, posted }) => {
        const row = document.createElement("li");
        const text = Object.assign(document.createElement("span"), { textContent: rule });
        const count = Object.assign(document.createElement("span"), { className: "muted", textContent: alerts ? ` ${alerts} ×` : "" });
        row.append(text, count);
        // One with a sink is the CLI's: its sink is not known here, and would be lost.
        if (!posted) row.append(button("Edit", () => this.offer(rule, id), { "aria-label": `Edit ${rule}` }));
        row.append(button("Remove", () => void this.remove(id), { "aria-label": `Remove ${rule}` }));
        return row;
      }),
    );
  }

  private async add(): Promise<void> {
    try {
      this.say((await history.addRule(this.input.value)) ?? "", false);
      this.input.value = "";
      const before = this.edited; // in force until the other one is
      this.edited = undefined;
      if (before) await history.removeRule(before);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
    await this.read();
  }

  private async remove(id: string): Promise<void> {
    try {
      await history.removeRule(id);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error), true);
    }
    await this.read();
  }

  private say(text: string, isProblem: boolean): void {
    at("rule-note").textContent = text;
    at("rule-note").hidden = !text;
    at("rule-note").classList.toggle("down", isProblem);
  }

  /** Ask once whether the browser may notify; from then on it does, with a sound, until it is turned off. */
  private async consent(): Promise<void> {
    const isOn = at("notify").getAttribute("aria-pressed") !== "true";
    const allowed = isOn && typeof Notification !== "undefined" && Notification.permission !== "granted" ? await Notification.requestPermission() : "";
    if (allowed === "denied") this.say("The browser does not allow notifications here; the sound is on.", false);
    at("notify").setAttribute("aria-pressed", String(isOn));
    this.onSound(isOn);
  }
}
