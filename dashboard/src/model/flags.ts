/** Candle flags: a short label for the marker and a sentence for the tooltip. */

import type { Candle, SeriesStore } from "./candles";

export interface Flag {
  label: string;
  text: string;
}

const GAP: Flag = { label: "gap", text: "Gap in the feed: trades of this candle are missing." };
const PARTIAL: Flag = { label: "partial", text: "Partial: it started before the first received trade." };
const VENUE: Flag = { label: "venue", text: "The venue's candle: its trades are not stored." };
const CORRECTED: Flag = { label: "corrected", text: "Corrected: late, cancelled or corrected trades changed it after it closed." };
const OUTLIER: Flag = { label: "off the axis", text: "Outlier: a price far off the market, beyond the axis." };
const OPEN: Flag = { label: "open", text: "" };

export function flags(candle: Candle, isCorrected: boolean, isOutlier = false): Flag[] {
  const { closed, partial, complete, origin } = candle;
  return ([[!closed, OPEN], [partial, PARTIAL], [!complete, GAP], [origin === "venue", VENUE], [isCorrected, CORRECTED], [isOutlier, OUTLIER]] as const).flatMap(
    ([applies, flag]) => (applies ? [flag] : []),
  );
}

export interface Note {
  t: number;
  above: boolean;
  text: string;
  /** Notes of lower weight give way when labels overlap. */
  weight: number;
}

/**
 * Returns the notes at candles: one for each run of flagged candles, joined when one candle has
 * several. The note of an outlier is on the side towards the axis.
 */
export function notes(store: SeriesStore, outliers: readonly number[]): Note[] {
  const byPlace = new Map<string, Note>();
  const add = (t: number, above: boolean, { label }: Flag, weight: number): void => {
    const key = `${t}/${above}`;
    const existing = byPlace.get(key);
    byPlace.set(key, existing ? { ...existing, text: `${existing.text}, ${label}`, weight: Math.max(weight, existing.weight) } : { t, above, text: label, weight });
  };
  let previous: Candle | undefined;
  for (const candle of store.all()) {
    if (!candle.complete && (previous?.complete ?? true)) add(candle.t, false, GAP, 4);
    if (candle.partial && !previous?.partial) add(candle.t, false, PARTIAL, 3);
    if (candle.origin === "venue" && previous?.origin !== "venue") add(candle.t, false, VENUE, 3);
    previous = candle;
  }
  for (const t of outliers) if (store.get(t)) add(t, isLow(store.get(t)!), OUTLIER, 6);
  for (const t of store.corrected) if (store.get(t)) add(t, true, CORRECTED, 5);
  return [...byPlace.values()];
}

/** Whether the candle's low is further from the close than its high. */
function isLow(candle: Candle): boolean {
  return Number(candle.c) - Number(candle.l) > Number(candle.h) - Number(candle.c);
}
