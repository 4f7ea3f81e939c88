/** The bearer token of a server that asks for one: it comes in the address, once, and stays in this browser. */

import { store, stored } from "./storage";

const KEY = "kandle.token";
const GIVEN = /[#&]token=([A-Za-z0-9._~+/=-]+)/;
/** The protocol of the feed; a browser has no other place for the token of a WebSocket. */
const PROTOCOL = "kandle.v1.json";

/** Take the token out of the address, where it would be seen and passed on. */
export function takeToken(): void {
  const given = GIVEN.exec(location.hash);
  if (!given) return;
  store(KEY, given[1]!);
  history.replaceState(null, "", location.pathname + location.search + location.hash.replace(given[0], ""));
}

function token(): string | null {
  return stored(KEY);
}

/** Of a request. */
export function headers(): Record<string, string> {
  const known = token();
  return { accept: "application/json", ...(known ? { authorization: `Bearer ${known}` } : {}) };
}

/** Of a WebSocket. */
export function protocols(): string[] {
  const known = token();
  return known ? [PROTOCOL, `bearer.${known}`] : [PROTOCOL];
}
