/** Dark and light theme: the user's last choice, or the system's preference; and the theme's colours. */

import { store, stored } from "./storage";

const colors = new Map<string, string>();

export function theme(next?: string): void {
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  document.documentElement.dataset.theme = next ?? stored("theme") ?? preferred;
  colors.clear();
  if (next) store("theme", next);
}

/** Returns a colour by its CSS variable, cached because reading it causes a layout. */
export function color(name: string): string {
  const known = colors.get(name) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  colors.set(name, known);
  return known;
}

export function otherTheme(): string {
  return document.documentElement.dataset.theme === "dark" ? "light" : "dark";
}
