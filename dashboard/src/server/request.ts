/** HTTP requests to the history API, retried while a store is unavailable. */

import { headers } from "./token";

/** The API rejected the request; the message is its reason. */
export class BadRequest extends Error {}

/** Fetches JSON; undefined if not found. Throws `BadRequest`, or an error after five server errors. */
export async function getJson<T>(url: string): Promise<T | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(url, { headers: headers() });
    if (response.ok) return (await response.json()) as T;
    if (response.status === 401) throw new Error("this server requires a token: open the URL that `kandle up` printed");
    if (response.status === 400) throw new BadRequest(((await response.json()) as { detail: string }).detail.replace(/^(indicators|timeframe|type): /, ""));
    if (response.status < 500) return undefined;
    if (attempt === 4) throw new Error(`${url}: ${response.status}`);
    await new Promise((done) => setTimeout(done, 250 * 2 ** attempt * (0.5 + Math.random() / 2)));
  }
}

export function symbolPath(symbol: string): string {
  return symbol.split("/").map(encodeURIComponent).join("/");
}

/** Sends JSON and returns the response body, if any. Throws an error with the server's reason. */
export async function send<T>(method: string, url: string, body: object): Promise<T | undefined> {
  const response = await fetch(url, { method, headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body) });
  if (response.status === 204) return undefined;
  const result = (await response.json().catch(() => ({}))) as T & { detail?: string };
  if (!response.ok) throw new Error(result.detail ?? `refused: ${response.status}`);
  return result;
}
