/** The page's address: `#SYMBOL/TIMEFRAME?indicators=sma:20&scale=log&from=...&to=...`; a bar type in a timeframe's place. */

import { isFrame } from "./frame";

/** What is shown. `view`: the time that is seen, ms since 1970; without it the newest candles. */
export interface Place {
  symbol: string;
  timeframe: string;
  view?: { from: number; to: number } | undefined;
  /** As settings have them; what is not there is as it was. */
  chosen?: Partial<Record<"indicators" | "scale" | "style", string>>;
}

const CHOSEN = ["indicators", "scale", "style"] as const;

/** What a hash names; the symbol is empty where it names none. Symbols may hold slashes. */
export function read(hash: string, timeframe: string): Place {
  const [names = "", query = ""] = hash.replace(/^#/, "").split("?");
  const [name = "", ...rest] = names.split("/").map(decoded);
  const frame = rest.join("/");
  const asked = new URLSearchParams(query);
  const [from, to] = [Number(asked.get("from")), Number(asked.get("to"))];
  const chosen = Object.fromEntries(CHOSEN.flatMap((each) => (asked.has(each) ? [[each, asked.get(each)]] : [])));
  return {
    symbol: name,
    timeframe: isFrame(frame) ? frame : timeframe,
    ...(from > 0 && to > from ? { view: { from, to } } : {}),
    chosen,
  };
}

export function written({ symbol, timeframe, view, chosen = {} }: Place): string {
  const asked = new URLSearchParams();
  for (const each of CHOSEN) if (chosen[each] !== undefined) asked.set(each, chosen[each]);
  if (view && view.to !== Infinity) for (const each of ["from", "to"] as const) asked.set(each, String(view[each]));
  const query = asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  return `#${encodeURIComponent(symbol)}/${encodeURI(timeframe)}${query && `?${query}`}`;
}

/** A hash that somebody typed may be no valid encoding: it is taken as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
