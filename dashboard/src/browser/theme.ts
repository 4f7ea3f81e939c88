/** Dark and light theme: the user's last choice, or the system's preference; and the theme's colours. */

import { save, load } from "./storage";

const colors = new Map<string, string>();

export function setTheme(next?: string): void {
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  document.documentElement.dataset.theme = next ?? load("theme") ?? preferred;
  colors.clear();
  if (next) save("theme", next);
}

/** Returns a colour by its CSS variable, cached because reading it causes a layout. */
export function color(name: string): string {
  const value = colors.get(name) ?? getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  colors.set(name, value);
  return value;
}

export function otherTheme(): string {
  return document.documentElement.dataset.theme === "dark" ? "light" : "dark";
}
