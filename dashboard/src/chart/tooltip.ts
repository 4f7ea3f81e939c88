/** The tooltip of the candle under the pointer: its patterns and flags. */

import type { Candle } from "../model/candles";
import { byId, createLabel } from "../browser/elements";
import type { Flag } from "../model/flags";
import type { Pattern } from "../model/messages";
import { patternLabel } from "../model/patterns";

const MAX_PATTERNS = 8;
const OFFSET_PX = 14;
let drawnKey = "";

/** Displays the tooltip at `x` pixels from the chart's left edge, or hides it if `x` is null. */
export function drawTooltip(candle: Candle | undefined, x: number | null, flags: Flag[], patterns: Pattern[]): void {
  const box = byId("tip");
  const sentences = flags.map(({ text }) => text).filter(Boolean);
  const isEmpty = !candle || x === null || !(sentences.length + patterns.length);
  const key = isEmpty ? "" : [candle.t, x, ...sentences, ...patterns.map(patternLabel)].join("\n");
  if (key === drawnKey) return;
  drawnKey = key;
  box.hidden = isEmpty;
  if (isEmpty) return;
  box.replaceChildren(
    ...patterns.slice(0, MAX_PATTERNS).map((each) => createLabel(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", patternLabel(each))),
    ...(patterns.length > MAX_PATTERNS ? [createLabel("muted", `and ${patterns.length - MAX_PATTERNS} more`)] : []),
    ...sentences.map((each) => createLabel("flag", each)),
  );
  const isRight = x > byId("chart").clientWidth / 2;
  box.style.left = isRight ? "" : `${x + OFFSET_PX}px`;
  box.style.right = isRight ? `${byId("charts").clientWidth - x + OFFSET_PX}px` : "";
}
