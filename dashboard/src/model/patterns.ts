/** Patterns: which are marked and listed, their display names and labels. */

import { lengthOf } from "./interval";
import type { Pattern } from "./messages";

/** Which patterns get a marker: chart patterns and those of high confidence, all, or none. */
export const MARK_CHOICES = ["strong", "all", "off"] as const;
export type MarkChoice = (typeof MARK_CHOICES)[number];
export const PATTERN_KINDS = ["candlestick", "chart", "anomaly"] as const;
export type PatternKind = (typeof PATTERN_KINDS)[number];

/** `kinds` and `least` (minimum confidence in percent) also filter the list. */
export interface Filter {
  choice: MarkChoice;
  kinds: readonly PatternKind[];
  least: number;
}

export const DEFAULT_FILTER: Filter = { choice: "strong", kinds: PATTERN_KINDS, least: 0 };

/** TA-Lib names that are several words in one. */
const WORDS: Record<string, string> = {
  "2crows": "two crows", "3blackcrows": "three black crows", "3inside": "three inside", "3linestrike": "three-line strike",
  "3outside": "three outside", "3starsinsouth": "three stars in the south", "3whitesoldiers": "three white soldiers",
  abandonedbaby: "abandoned baby", advanceblock: "advance block", belthold: "belt hold", closingmarubozu: "closing marubozu",
  concealbabyswall: "concealing baby swallow", darkcloudcover: "dark cloud cover", dojistar: "doji star",
  dragonflydoji: "dragonfly doji", eveningdojistar: "evening doji star", eveningstar: "evening star",
  gapsidesidewhite: "gap side-by-side white", gravestonedoji: "gravestone doji", hangingman: "hanging man",
  haramicross: "harami cross", highwave: "high wave", hikkakemod: "modified hikkake", homingpigeon: "homing pigeon",
  identical3crows: "identical three crows", inneck: "in neck", invertedhammer: "inverted hammer",
  kickingbylength: "kicking by length", ladderbottom: "ladder bottom", longleggeddoji: "long-legged doji",
  longline: "long line", matchinglow: "matching low", mathold: "mat hold", morningdojistar: "morning doji star",
  morningstar: "morning star", onneck: "on neck", rickshawman: "rickshaw man", risefall3methods: "three methods",
  separatinglines: "separating lines", shootingstar: "shooting star", shortline: "short line", spinningtop: "spinning top",
  stalledpattern: "stalled", sticksandwich: "stick sandwich", tasukigap: "tasuki gap", unique3river: "unique three river",
  upsidegap2crows: "upside gap two crows", xsidegap3methods: "gap three methods",
};

/** Returns a pattern's display name. */
export function title(type: string): string {
  const anomaly = /^anomaly_(.+)$/.exec(type);
  if (anomaly) return `${anomaly[1]!.replaceAll("_", " ")} anomaly`;
  const bare = type.replace(/^cdl_?/, "");
  return WORDS[bare] ?? bare.replaceAll("_", " ");
}

/** Whether a pattern passes the filter by kind and confidence. */
export function passes({ kind, confidence }: Pattern, { kinds, least }: Filter): boolean {
  return kinds.some((each) => each === kind) && Math.round(confidence * 100) >= least;
}

export function selectPatterns(patterns: Pattern[], filter: Filter): Pattern[] {
  if (filter.choice === "off") return [];
  const passing = patterns.filter((each) => passes(each, filter));
  return filter.choice === "all" ? passing : passing.filter(({ kind, level }) => kind === "chart" || level === "high");
}

/** Returns the start of the pattern's last candle. */
export function lastCandleStart({ timestamp, timeframe }: Pattern): number {
  return timestamp - lengthOf(timeframe);
}

/** Returns the label of a pattern's marker. */
export function patternLabel(pattern: Pattern): string {
  if (pattern.status === "retracted") return `✕ ${title(pattern.pattern_type)}`;
  return `${title(pattern.pattern_type)} ${Math.round(pattern.confidence * 100)}%`;
}
