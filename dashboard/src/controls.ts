/** Buttons, search and keys. */

import { TIMEFRAMES } from "./address";
import type { Cards } from "./cards";
import type { Chart } from "./chart";
import { at, button, check } from "./elements";
import { INDICATORS } from "./indicators";
import { CHOICES } from "./marks";
import { otherTheme, theme } from "./theme";

const RANGES: [string, number][] = [["1H", 3_600_000], ["6H", 6 * 3_600_000], ["1D", 86_400_000], ["1W", 7 * 86_400_000]];
const TABS = ["tape", "patterns", "alerts"];

export interface Controlled {
  chart: Chart;
  cards: Cards;
  onSymbol(symbol: string): void;
  onTimeframe(timeframe: string): void;
  onSpan(ms: number): void;
  onView(): void;
}

export function controls(controlled: Controlled): void {
  const { chart, cards } = controlled;
  groups(controlled);
  at("theme").onclick = () => {
    theme(otherTheme());
    chart.theme();
  };
  const search = at<HTMLInputElement>("search");
  search.oninput = () => cards.search(search.value);
  search.onkeydown = ({ key }) => {
    const found = cards.shown[0];
    if (key === "Enter" && found) controlled.onSymbol(found);
    if (key !== "Escape" && !(key === "Enter" && found)) return;
    search.value = ""; // the list is whole again, and arrows walk it
    cards.search("");
    search.blur();
  };
  for (const name of TABS) at(`tab-${name}`).onclick = () => show(name);
  document.addEventListener("keydown", (event) => {
    const editing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (!editing && !event.ctrlKey && !event.metaKey && !event.altKey && pressed(event, controlled)) event.preventDefault();
  });
}

function groups({ chart, onTimeframe, onSpan, onView }: Controlled): void {
  at("timeframes").append(
    ...TIMEFRAMES.map((each) => button(each, () => onTimeframe(each), { role: "radio", "aria-checked": "false" })),
  );
  at("ranges").append(...RANGES.map(([name, ms]) => button(name, () => onSpan(ms))));
  at("indicators").append(
    ...Object.entries(INDICATORS).map(([name, { title }]) => {
      const made = button(title, () => {
        const isOn = chart.toggle(name);
        made.setAttribute("aria-pressed", String(isOn));
      }, { "aria-pressed": String(chart.indicators.includes(name)) });
      return made;
    }),
    profileButton(chart, onView),
  );
  at("marks").append(
    ...CHOICES.map((each) => button(each, () => {
      chart.choose(each);
      check("marks", each);
    }, { role: "radio", "aria-checked": String(each === chart.choice) })),
  );
}

function profileButton({ profile }: Chart, onView: () => void): HTMLElement {
  const made = button("Profile", () => {
    profile.on = !profile.on;
    made.setAttribute("aria-pressed", String(profile.on));
    onView();
  }, { "aria-pressed": "false" });
  return made;
}

function show(tab: string): void {
  for (const each of TABS) {
    at(each).hidden = each !== tab;
    at(`tab-${each}`).setAttribute("aria-selected", String(each === tab));
  }
}

/** Do what a key stands for; true where it stands for anything. */
function pressed({ key, target }: KeyboardEvent, { chart, cards, onSymbol, onTimeframe }: Controlled): boolean {
  const number = Number(key);
  const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  if (walked(target, step)) return true;
  if (step) chart.move(step / 4);
  else if (key === "+" || key === "-") chart.zoom(key === "+" ? 0.7 : 1.4);
  else if (key === "/") at("search").focus();
  else if (key === "t") at("theme").click();
  else if (key === "ArrowDown" || key === "ArrowUp") {
    const next = cards.neighbour(key === "ArrowDown" ? 1 : -1);
    if (next) onSymbol(next);
  } else if (number >= 1 && number <= TIMEFRAMES.length) onTimeframe(TIMEFRAMES[number - 1]!);
  else return false;
  return true;
}

/** Arrows walk within a group of choices. */
function walked(target: EventTarget | null, step: number): boolean {
  const group = target instanceof Element ? target.closest("[role=radiogroup], [role=tablist]") : null;
  if (!group || !step) return false;
  const all = [...group.querySelectorAll("button")];
  const next = all[all.indexOf(target as HTMLButtonElement) + step];
  next?.focus();
  next?.click();
  return true;
}
