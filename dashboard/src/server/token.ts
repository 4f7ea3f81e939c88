/** The bearer token of the server: taken from the URL hash once and stored in the browser. */

import { save, load } from "../browser/storage";

const KEY = "kandle.token";
const TOKEN = /[#&]token=([A-Za-z0-9._~+/=-]+)/;
/** WebSocket subprotocol of the live feed. Browsers can pass a token only as another subprotocol. */
const PROTOCOL = "kandle.v1.json";

/** Stores the token from the hash and removes it there, so that it is neither visible nor shared. */
export function storeToken(): void {
  const match = TOKEN.exec(location.hash);
  if (!match) return;
  save(KEY, match[1]!);
  history.replaceState(null, "", location.pathname + location.search + location.hash.replace(match[0], ""));
}

function token(): string | null {
  return load(KEY);
}

/** Returns the headers of an HTTP request. */
export function headers(): Record<string, string> {
  const value = token();
  return { accept: "application/json", ...(value ? { authorization: `Bearer ${value}` } : {}) };
}

/** Returns the subprotocols of a WebSocket. The token is encoded, because they may not contain base64's `/` and `=`. */
export function protocols(): string[] {
  const value = token();
  return value ? [PROTOCOL, `bearer.${encodeURIComponent(value)}`] : [PROTOCOL];
}
