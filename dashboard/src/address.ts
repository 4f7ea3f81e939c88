/**
 * The URL hash:
 * `#SYMBOL/TIMEFRAME?indicators=sma:20&scale=log&layout=2&panel=SYMBOL/5m&from=...&to=...`. A bar type
 * may replace the timeframe.
 */

import { isFrame } from "./frame";
import type { PanelPlace } from "./settings";

/** The state encoded in the hash. `view` is the visible time range in ms since 1970; without it the newest candles are visible. */
export interface Place {
  symbol: string;
  timeframe: string;
  view?: { from: number; to: number } | undefined;
  /** Settings from the query; absent ones are unchanged. */
  chosen?: Partial<Record<(typeof CHOSEN)[number], string>>;
  /** The additional chart panels. */
  panels?: PanelPlace[];
}

const CHOSEN = ["indicators", "scale", "style", "layout"] as const;

/** Parses a hash. The symbol is empty if the hash has none. Symbols may contain slashes. */
export function read(hash: string, timeframe: string): Place {
  const [names = "", query = ""] = hash.replace(/^#/, "").split("?");
  const parts = names.split("/").map(decoded);
  const framed = parts.findIndex((_, at) => at > 0 && isFrame(parts.slice(at).join("/")));
  const mistyped = parts.findIndex((part, at) => at > 0 && /^\d/.test(part));
  const end = [framed, mistyped].find((at) => at > 0) ?? parts.length;
  const frame = parts.slice(end).join("/");
  const asked = new URLSearchParams(query);
  const [from, to] = [Number(asked.get("from")), Number(asked.get("to"))];
  const chosen = Object.fromEntries(CHOSEN.flatMap((each) => (asked.has(each) ? [[each, asked.get(each)]] : [])));
  return {
    symbol: parts.slice(0, end).join("/").replace(/\/+$/, ""),
    timeframe: isFrame(frame) ? frame : timeframe,
    ...(from > 0 && to > from ? { view: { from, to } } : {}),
    chosen,
    ...(asked.has("panel") ? { panels: asked.getAll("panel").map(panel) } : {}),
  };
}

/** Parses a panel: `SYMBOL/5m;sma:20,rsi:14`. */
function panel(text: string): PanelPlace {
  const [place = "", indicators = ""] = text.split(";");
  const [symbol = "", ...frame] = place.split("/");
  return { symbol: decoded(symbol), timeframe: frame.join("/"), indicators: indicators.split(",").filter(Boolean) };
}

export function written({ symbol, timeframe, view, chosen = {}, panels = [] }: Place): string {
  const asked = new URLSearchParams();
  for (const each of CHOSEN) if (chosen[each] !== undefined) asked.set(each, chosen[each]);
  for (const each of panels) asked.append("panel", `${encodeURIComponent(each.symbol)}/${each.timeframe}${each.indicators.length ? `;${each.indicators}` : ""}`);
  if (view && view.to !== Infinity) for (const each of ["from", "to"] as const) asked.set(each, String(view[each]));
  const query = asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3B", ";");
  return `#${encodeURIComponent(symbol)}/${encodeURI(timeframe)}${query && `?${query}`}`;
}

/** Percent-decodes text. Invalid encodings, as in a typed hash, are returned unchanged. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
