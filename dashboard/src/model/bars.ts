/** OHLC bars for drawing, plain or Heikin-Ashi, and CSV export. */

import type { Candle } from "./candles";

export interface Bar {
  t: number;
  open: number;
  high: number;
  low: number;
  close: number;
}

export function toBar({ t, o, h, l, c }: Candle): Bar {
  return { t, open: Number(o), high: Number(h), low: Number(l), close: Number(c) };
}

/**
 * Computes Heikin-Ashi bars from candles in ascending order (Valcu, "Using the Heikin-Ashi technique",
 * 2004): the close is the mean of the four prices, the open the midpoint of the previous body.
 */
export function heikinAshi(candles: Candle[]): Bar[] {
  let previous: Bar | undefined;
  return candles.map(toBar).map(({ t, open, high, low, close }) => {
    const middle = previous ? (previous.open + previous.close) / 2 : (open + close) / 2;
    const mean = (open + high + low + close) / 4;
    previous = { t, open: middle, high: Math.max(high, middle, mean), low: Math.min(low, middle, mean), close: mean };
    return previous;
  });
}

/** Formats candles as CSV with exact decimals and ISO 8601 UTC times. Information bars have an `end` column instead of `revision`. */
export function toCsv(candles: Candle[]): string {
  const hasEnds = candles.some(({ end }) => end !== undefined);
  const iso = (ms: number | undefined): string => (ms === undefined ? "" : new Date(ms).toISOString());
  const rows = candles.map(({ t, o, h, l, c, v, vw, n, closed, revision, end }) => [iso(t), o, h, l, c, v, vw ?? "", n, closed, hasEnds ? iso(end) : revision]);
  return [["time", "open", "high", "low", "close", "volume", "vwap", "trades", "closed", hasEnds ? "end" : "revision"], ...rows].map((row) => row.join(",")).join("\n") + "\n";
}

/** Downloads a file. */
export function download(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name.replace(/[^\w.+-]/g, "_");
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the download must have started by then
}
