/** Toolbar buttons, search and keyboard shortcuts. */

import type { Cards } from "../lists/cards";
import type { Chart } from "../chart/chart";
import { bindPopups, byId, button, checkRadio, select } from "../browser/elements";
import type { IntervalPicker } from "../dialogs/interval_picker";
import { TIMEFRAMES } from "../model/interval";
import { DELTA } from "../model/indicators";
import type { ListControls } from "../lists/list_controls";
import { LAYOUTS, SCALES, STYLES, TABS, type Settings, type Tab } from "../browser/settings";
import { otherTheme, setTheme } from "../browser/theme";
import { MARK_CHOICES } from "../model/patterns";

const TIME_RANGES: [string, number][] = [["1H", 3_600_000], ["6H", 6 * 3_600_000], ["1D", 86_400_000], ["1W", 7 * 86_400_000]];

export interface Dependencies {
  chart: Chart;
  cards: Cards;
  settings: Settings;
  intervals: IntervalPicker;
  listControls: ListControls;
  symbol(): string;
  onHelp(): void;
  onFavourite(): void;
  onSymbol(symbol: string): void;
  onTimeframe(timeframe: string): void;
  onRange(ms: number): void;
  onView(): void;
  onIndicators(): void;
  onTheme(): void;
}

export function bindControls(deps: Dependencies): void {
  const { cards, settings } = deps;
  addButtons(deps);
  byId("theme").onclick = () => {
    setTheme(otherTheme());
    deps.onTheme();
  };
  const search = byId<HTMLInputElement>("search");
  search.oninput = () => cards.search(search.value);
  search.onkeydown = ({ key }) => {
    const first = cards.listed[0];
    if (key === "Enter" && first) deps.onSymbol(first);
    if (key !== "Escape" && !(key === "Enter" && first)) return;
    search.value = ""; // the list is no longer filtered, and arrow keys move through it
    cards.search("");
    search.blur();
  };
  for (const name of TABS)
    byId(`tab-${name}`).onclick = () => settings.set({ tab: name });
  settings.subscribe(["tab"], ({ tab }) => showTab(tab));
  bindSelects(settings);
  bindPopups();
  document.addEventListener("keydown", (event) => {
    const isElsewhere = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement || document.querySelector("dialog[open]");
    if (!isElsewhere && !event.ctrlKey && !event.metaKey && !event.altKey && handleKey(event, deps)) event.preventDefault();
  });
}

function bindSelects(settings: Settings): void {
  select("style", STYLES, settings.now.style, (style) => settings.set({ style }));
  select("scale", SCALES, settings.now.scale, (scale) => settings.set({ scale }));
  select("marks", MARK_CHOICES, settings.now.marks, (marks) => settings.set({ marks }), (each) => `${each === "off" ? "no" : each} patterns`);
  byId("layouts").append(
    ...LAYOUTS.map((layout) => button(String(layout), () => settings.set({ layout }), { role: "radio", title: `${layout} ${layout > 1 ? "charts" : "chart"}` })),
  );
  settings.subscribe(["layout"], ({ layout }) => checkRadio("layouts", String(layout)));
}

function addButtons(deps: Dependencies): void {
  const { chart, onRange, onView, onIndicators } = deps;
  byId("ranges").append(...TIME_RANGES.map(([name, ms]) => button(name, () => onRange(ms))));
  byId("indicators").append(
    button("Indicators", onIndicators, { "aria-haspopup": "dialog", title: "Indicators and their parameters ( i )" }),
    deltaButton(deps.settings),
    profileButton(chart, onView),
  );
}

function deltaButton(settings: Settings): HTMLElement {
  const isOn = (): boolean => settings.now.indicators.includes(DELTA);
  const element = button("Delta", () => settings.toggle("indicators", DELTA), { title: "Bought minus sold volume" });
  settings.subscribe(["indicators"], () => element.setAttribute("aria-pressed", String(isOn())));
  return element;
}

function profileButton({ profile }: Chart, onView: () => void): HTMLElement {
  const element = button("Profile", () => {
    profile.isOn = !profile.isOn;
    element.setAttribute("aria-pressed", String(profile.isOn));
    onView();
  }, { "aria-pressed": "false" });
  return element;
}

function showTab(tab: Tab): void {
  for (const each of TABS) {
    byId(each).hidden = each !== tab;
    byId(`tab-${each}`).setAttribute("aria-selected", String(each === tab));
    byId(`tab-${each}`).tabIndex = each === tab ? 0 : -1;
  }
}

/** Runs the keyboard shortcut of an event. Returns false if there is none. */
function handleKey({ key, target }: KeyboardEvent, deps: Dependencies): boolean {
  const { chart, cards, intervals, listControls, symbol, onSymbol, onTimeframe } = deps;
  const number = Number(key);
  const step = key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0;
  if (moveInGroup(target, step)) return true;
  if (step) chart.view.scroll(step / 4);
  else if (key === "+" || key === "-") chart.view.zoom(key === "+" ? 0.7 : 1.4);
  else if (key === "/") byId("search").focus();
  else if (key === "t") byId("theme").click();
  else if (key === "?") deps.onHelp();
  else if (key === "i") deps.onIndicators();
  else if (key === "b") intervals.open();
  else if (key === "f") deps.onFavourite();
  else if (key === "F") void toggleFullscreen();
  else if (key === "a") byId("add").click();
  else if (key === "g") listControls.openGroups();
  else if (key === "G") listControls.nextGroup();
  else if (key === "x") listControls.remove(symbol());
  else if (key === "ArrowDown" || key === "ArrowUp") {
    const next = cards.neighbour(key === "ArrowDown" ? 1 : -1);
    if (next) onSymbol(next);
  } else if (number >= 1 && number <= TIMEFRAMES.length) onTimeframe(TIMEFRAMES[number - 1]!);
  else return false;
  return true;
}

/** Toggles full screen for the chart. */
export async function toggleFullscreen(): Promise<void> {
  await (document.fullscreenElement ? document.exitFullscreen() : byId("stage").requestFullscreen());
}

/** Moves focus and selection in a radio group or tab list by arrow key. Returns whether it did. */
function moveInGroup(target: EventTarget | null, step: number): boolean {
  const group = target instanceof Element ? target.closest("[role=radiogroup], [role=tablist]") : null;
  if (!group || !step) return false;
  const all = [...group.querySelectorAll("button")];
  const next = all[all.indexOf(target as HTMLButtonElement) + step];
  next?.focus();
  next?.click();
  return true;
}
