/** The bearer token of the server: taken from the URL hash once and stored in the browser. */

import { store, stored } from "./storage";

const KEY = "kandle.token";
const GIVEN = /[#&]token=([A-Za-z0-9._~+/=-]+)/;
/** WebSocket subprotocol of the live feed. Browsers can pass a token only as another subprotocol. */
const PROTOCOL = "kandle.v1.json";

/** Stores the token from the hash and removes it there, so that it is neither visible nor shared. */
export function takeToken(): void {
  const given = GIVEN.exec(location.hash);
  if (!given) return;
  store(KEY, given[1]!);
  history.replaceState(null, "", location.pathname + location.search + location.hash.replace(given[0], ""));
}

function token(): string | null {
  return stored(KEY);
}

/** Returns the headers of an HTTP request. */
export function headers(): Record<string, string> {
  const known = token();
  return { accept: "application/json", ...(known ? { authorization: `Bearer ${known}` } : {}) };
}

/** Returns the subprotocols of a WebSocket; they may hold no `/` and `=`, which base64 has. */
export function protocols(): string[] {
  const known = token();
  return known ? [PROTOCOL, `bearer.${encodeURIComponent(known)}`] : [PROTOCOL];
}
