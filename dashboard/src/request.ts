/** Requests to the history API: JSON, asked for again while a store is away. */

import { headers } from "./token";

/** What was asked for is nothing that there is; the message says why. */
export class Refused extends Error {}

/** The answer, or undefined where there is nothing of the kind. Throws Refused, or while a store is away. */
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

/** Send JSON; returns the answer's, if it has any. Throws the reason of a refusal. */
export async function send<T>(method: string, url: string, body: object): Promise<T | undefined> {
  const answer = await fetch(url, { method, headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body) });
  if (answer.status === 204) return undefined;
  const told = (await answer.json().catch(() => ({}))) as T & { detail?: string };
  if (!answer.ok) throw new Error(told.detail ?? `refused: ${answer.status}`);
  return told;
}
