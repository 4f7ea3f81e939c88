/** Dark or light: as the visitor chose last, or as the system prefers. */

export function theme(next?: string): void {
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  document.documentElement.dataset.theme = next ?? localStorage.getItem("theme") ?? preferred;
  if (next) localStorage.setItem("theme", next);
}

export function otherTheme(): string {
  return document.documentElement.dataset.theme === "dark" ? "light" : "dark";
}
