/** HTTP requests to the history API, retried while a store is unavailable. */

import { headers } from "./token";

/** The API rejected the request; the message is its reason. */
export class Refused extends Error {}

/** Fetches JSON; undefined if not found. Throws `Refused`, or an error after five server errors. */
export async function json<T>(url: string): Promise<T | undefined> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await fetch(url, { headers: headers() });
    if (answer.ok) return (await answer.json()) as T;
    if (answer.status === 401) throw new Error("this server asks for a token: open the address that `kandle up` printed");
    if (answer.status === 400) throw new Refused(((await answer.json()) as { detail: string }).detail.replace(/^(indicators|timeframe|type): /, ""));
    if (answer.status < 500) return undefined;
    if (attempt === 4) throw new Error(`${url}: ${answer.status}`);
    await new Promise((done) => setTimeout(done, 250 * 2 ** attempt * (0.5 + Math.random() / 2)));
  }
}

export function path(symbol: string): string {
  return symbol.split("/").map(encodeURIComponent).join("/");
}

/** Sends JSON and returns the response body, if any. Throws an error with the server's reason. */
export async function send<T>(method: string, url: string, body: object): Promise<T | undefined> {
  const answer = await fetch(url, { method, headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body) });
  if (answer.status === 204) return undefined;
  const told = (await answer.json().catch(() => ({}))) as T & { detail?: string };
  if (!answer.ok) throw new Error(told.detail ?? `refused: ${answer.status}`);
  return told;
}
