/** Candle flags: a short label for the marker and a sentence for the tooltip. */

import type { Candle, Stored } from "./candles";

export interface Flag {
  word: string;
  sentence: string;
}

const GAP: Flag = { word: "gap", sentence: "Gap in the feed: trades of this time are missing." };
const PARTIAL: Flag = { word: "partial", sentence: "Partial: it began before the first trade that came." };
const VENUE: Flag = { word: "venue", sentence: "The venue's own candle: no trades of this time are stored." };
const CORRECTED: Flag = { word: "corrected", sentence: "Corrected: late, cancelled or corrected trades changed it after it had closed." };
const BEYOND: Flag = { word: "off the axis", sentence: "A print far off the market: the axis leaves it out." };
const OPEN: Flag = { word: "open", sentence: "" };

export function flags(candle: Candle, isCorrected: boolean, isBeyond = false): Flag[] {
  const { closed, partial, complete, origin } = candle;
  return ([[!closed, OPEN], [partial, PARTIAL], [!complete, GAP], [origin === "venue", VENUE], [isCorrected, CORRECTED], [isBeyond, BEYOND]] as const).flatMap(
    ([is, flag]) => (is ? [flag] : []),
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
export function notes(store: Stored, outliers: readonly number[]): Note[] {
  const found = new Map<string, Note>();
  const add = (t: number, above: boolean, { word }: Flag, weight: number): void => {
    const key = `${t}/${above}`;
    const known = found.get(key);
    found.set(key, known ? { ...known, text: `${known.text}, ${word}`, weight: Math.max(weight, known.weight) } : { t, above, text: word, weight });
  };
  let before: Candle | undefined;
  for (const candle of store.all()) {
    if (!candle.complete && (before?.complete ?? true)) add(candle.t, false, GAP, 4);
    if (candle.partial && !before?.partial) add(candle.t, false, PARTIAL, 3);
    if (candle.origin === "venue" && before?.origin !== "venue") add(candle.t, false, VENUE, 3);
    before = candle;
  }
  for (const t of outliers) if (store.get(t)) add(t, isLow(store.get(t)!), BEYOND, 6);
  for (const t of store.corrected) if (store.get(t)) add(t, true, CORRECTED, 5);
  return [...found.values()];
}

/** Whether the candle's low is further from the close than its high. */
function isLow(candle: Candle): boolean {
  return Number(candle.c) - Number(candle.l) > Number(candle.h) - Number(candle.c);
}
