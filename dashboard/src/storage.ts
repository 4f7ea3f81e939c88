/** Browser storage with an in-memory fallback that lasts as long as the page. */

const here = new Map<string, string>();

export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return here.get(key) ?? null; // denied by the browser
  }
}

export function store(key: string, text: string): void {
  here.set(key, text);
  try {
    localStorage.setItem(key, text);
  } catch {
    // Denied or full: the value lasts as long as the page.
  }
}
