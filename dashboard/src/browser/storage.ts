/** Browser storage with an in-memory fallback that lasts as long as the page. */

const memory = new Map<string, string>();

export function load(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return memory.get(key) ?? null; // denied by the browser
  }
}

export function save(key: string, text: string): void {
  memory.set(key, text);
  try {
    localStorage.setItem(key, text);
  } catch {
    // Denied or full: the value lasts as long as the page.
  }
}
