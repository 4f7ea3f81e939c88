/**
 * The URL hash:
 * `#SYMBOL/TIMEFRAME?indicators=sma:20&scale=log&layout=2&panel=SYMBOL/5m&from=...&to=...`. A bar type
 * may replace the timeframe.
 */

import { isInterval } from "../model/interval";
import type { PanelState } from "../browser/settings";

/** The state encoded in the hash. `view` is the visible time range in ms since 1970; without it the newest candles are visible. */
export interface HashState {
  symbol: string;
  timeframe: string;
  view?: { from: number; to: number } | undefined;
  /** Settings from the query; absent ones are unchanged. */
  settings?: Partial<Record<(typeof SETTINGS)[number], string>>;
  /** The additional chart panels. */
  panels?: PanelState[];
}

const SETTINGS = ["indicators", "scale", "style", "layout"] as const;

/** Parses a hash. The symbol is empty if the hash has none. Symbols may contain slashes. */
export function parseHash(hash: string, timeframe: string): HashState {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const parts = path.split("/").map(decode);
  const intervalStart = parts.findIndex((_, index) => index > 0 && isInterval(parts.slice(index).join("/")));
  const invalidStart = parts.findIndex((part, index) => index > 0 && /^\d/.test(part));
  const end = [intervalStart, invalidStart].find((index) => index > 0) ?? parts.length;
  const interval = parts.slice(end).join("/");
  const params = new URLSearchParams(query);
  const [from, to] = [Number(params.get("from")), Number(params.get("to"))];
  const settings = Object.fromEntries(SETTINGS.flatMap((each) => (params.has(each) ? [[each, params.get(each)]] : [])));
  return {
    symbol: parts.slice(0, end).join("/").replace(/\/+$/, ""),
    timeframe: isInterval(interval) ? interval : timeframe,
    ...(from > 0 && to > from ? { view: { from, to } } : {}),
    settings,
    ...(params.has("panel") ? { panels: params.getAll("panel").map(parsePanel) } : {}),
  };
}

/** Parses a panel: `SYMBOL/5m;sma:20,rsi:14`. */
function parsePanel(text: string): PanelState {
  const [path = "", indicators = ""] = text.split(";");
  const [symbol = "", ...frame] = path.split("/");
  return { symbol: decode(symbol), timeframe: frame.join("/"), indicators: indicators.split(",").filter(Boolean) };
}

export function formatHash({ symbol, timeframe, view, settings = {}, panels = [] }: HashState): string {
  const params = new URLSearchParams();
  for (const each of SETTINGS) if (settings[each] !== undefined) params.set(each, settings[each]);
  for (const each of panels) params.append("panel", `${encodeURIComponent(each.symbol)}/${each.timeframe}${each.indicators.length ? `;${each.indicators}` : ""}`);
  if (view && view.to !== Infinity) for (const each of ["from", "to"] as const) params.set(each, String(view[each]));
  const query = params.toString().replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3B", ";");
  return `#${encodeURIComponent(symbol)}/${encodeURI(timeframe)}${query && `?${query}`}`;
}

/** Percent-decodes text. Invalid encodings, as in a typed hash, are returned unchanged. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
