/** Dark or light: as the visitor chose last, or as the system prefers; and its colours. */

import { store, stored } from "./storage";

const colors = new Map<string, string>();

export function theme(next?: string): void {
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  document.documentElement.dataset.theme = next ?? stored("theme") ?? preferred;
  colors.clear();
  if (next) store("theme", next);
}

/** A colour of the theme by its name in style.css, read once: reading makes the browser lay out. */
export function color(name: string): string {
  const known = colors.get(name) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  colors.set(name, known);
  return known;
}

export function otherTheme(): string {
  return document.documentElement.dataset.theme === "dark" ? "light" : "dark";
}
