/** Toolbar buttons, search and keyboard shortcuts. */

import type { Cards } from "./cards";
import type { Chart } from "./chart";
import { at, button, check, select } from "./elements";
import type { FramePicker } from "./frame_picker";
import { TIMEFRAMES } from "./frame";
import { DELTA } from "./indicators";
import type { ListControls } from "./list_controls";
import { CHOICES } from "./marks";
import { LAYOUTS, SCALES, STYLES, TABS, type Settings, type Tab } from "./settings";
import { otherTheme, theme } from "./theme";

const RANGES: [string, number][] = [["1H", 3_600_000], ["6H", 6 * 3_600_000], ["1D", 86_400_000], ["1W", 7 * 86_400_000]];

export interface Controlled {
  chart: Chart;
  cards: Cards;
  settings: Settings;
  frames: FramePicker;
  list: ListControls;
  symbol(): string;
  onSheet(): void;
  onFavourite(): void;
  onSymbol(symbol: string): void;
  onTimeframe(timeframe: string): void;
  onSpan(ms: number): void;
  onView(): void;
  onIndicators(): void;
  onTheme(): void;
}

export function controls(controlled: Controlled): void {
  const { cards, settings } = controlled;
  groups(controlled);
  at("theme").onclick = () => {
    theme(otherTheme());
    controlled.onTheme();
  };
  const search = at<HTMLInputElement>("search");
  search.oninput = () => cards.search(search.value);
  search.onkeydown = ({ key }) => {
    const found = cards.shown[0];
    if (key === "Enter" && found) controlled.onSymbol(found);
    if (key !== "Escape" && !(key === "Enter" && found)) return;
    search.value = ""; // the list is no longer filtered, and arrow keys move through it
    cards.search("");
    search.blur();
  };
  for (const name of TABS)
    at(`tab-${name}`).onclick = () => settings.set({ tab: name });
  settings.follow(["tab"], ({ tab }) => show(tab));
  choices(settings);
  document.addEventListener("keydown", (event) => {
    const editing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (!editing && !event.ctrlKey && !event.metaKey && !event.altKey && pressed(event, controlled)) event.preventDefault();
  });
}

function choices(settings: Settings): void {
  select("style", STYLES, settings.now.style, (style) => settings.set({ style }));
  select("scale", SCALES, settings.now.scale, (scale) => settings.set({ scale }));
  select("marks", CHOICES, settings.now.marks, (marks) => settings.set({ marks }), (each) => `${each === "off" ? "no" : each} patterns`);
  at("layouts").append(
    ...LAYOUTS.map((layout) => button(String(layout), () => settings.set({ layout }), { role: "radio", title: `${layout} ${layout > 1 ? "charts" : "chart"}` })),
  );
  settings.follow(["layout"], ({ layout }) => check("layouts", String(layout)));
}

function groups(controlled: Controlled): void {
  const { chart, onSpan, onView, onIndicators } = controlled;
  at("ranges").append(...RANGES.map(([name, ms]) => button(name, () => onSpan(ms))));
  at("indicators").append(
    button("Indicators", onIndicators, { "aria-haspopup": "dialog", title: "Indicators and their parameters ( i )" }),
    deltaButton(controlled.settings),
    profileButton(chart, onView),
  );
}

function deltaButton(settings: Settings): HTMLElement {
  const isOn = (): boolean => settings.now.indicators.includes(DELTA);
  const made = button("Delta", () => settings.toggle("indicators", DELTA), { title: "Bought less sold volume" });
  settings.follow(["indicators"], () => made.setAttribute("aria-pressed", String(isOn())));
  return made;
}

function profileButton({ profile }: Chart, onView: () => void): HTMLElement {
  const made = button("Profile", () => {
    profile.on = !profile.on;
    made.setAttribute("aria-pressed", String(profile.on));
    onView();
  }, { "aria-pressed": "false" });
  return made;
}

function show(tab: Tab): void {
  for (const each of TABS) {
    at(each).hidden = each !== tab;
    at(`tab-${each}`).setAttribute("aria-selected", String(each === tab));
  }
}

/** Runs the keyboard shortcut of an event. Returns false if there is none. */
function pressed({ key, target }: KeyboardEvent, controlled: Controlled): boolean {
  const { chart, cards, frames, list, symbol, onSymbol, onTimeframe } = controlled;
  const number = Number(key);
  const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  if (walked(target, step)) return true;
  if (step) chart.view.move(step / 4);
  else if (key === "+" || key === "-") chart.view.zoom(key === "+" ? 0.7 : 1.4);
  else if (key === "/") at("search").focus();
  else if (key === "t") at("theme").click();
  else if (key === "?") controlled.onSheet();
  else if (key === "i") controlled.onIndicators();
  else if (key === "b") frames.open();
  else if (key === "f") controlled.onFavourite();
  else if (key === "F") void fill();
  else if (key === "a") at("add").click();
  else if (key === "g") list.openGroups();
  else if (key === "G") list.nextGroup();
  else if (key === "x") list.remove(symbol());
  else if (key === "ArrowDown" || key === "ArrowUp") {
    const next = cards.neighbour(key === "ArrowDown" ? 1 : -1);
    if (next) onSymbol(next);
  } else if (number >= 1 && number <= TIMEFRAMES.length) onTimeframe(TIMEFRAMES[number - 1]!);
  else return false;
  return true;
}

/** Toggles full screen for the chart. */
export async function fill(): Promise<void> {
  await (document.fullscreenElement ? document.exitFullscreen() : at("stage").requestFullscreen());
}

/** Moves focus and selection in a radio group or tab list by arrow key. Returns whether it did. */
function walked(target: EventTarget | null, step: number): boolean {
  const group = target instanceof Element ? target.closest("[role=radiogroup], [role=tablist]") : null;
  if (!group || !step) return false;
  const all = [...group.querySelectorAll("button")];
  const next = all[all.indexOf(target as HTMLButtonElement) + step];
  next?.focus();
  next?.click();
  return true;
}
