/** The tooltip of the candle under the pointer: its patterns and flags. */

import type { Candle } from "./candles";
import { at, part } from "./elements";
import type { Flag } from "./flags";
import type { Pattern } from "./live";
import { label } from "./marks";

const MOST = 8;
const OFF = 14;
let shown = "";

/** Displays the tooltip at `x` pixels from the chart's left edge, or hides it if `x` is null. */
export function tip(candle: Candle | undefined, x: number | null, flags: Flag[], patterns: Pattern[]): void {
  const box = at("tip");
  const sentences = flags.map(({ sentence }) => sentence).filter(Boolean);
  const isEmpty = !candle || x === null || !(sentences.length + patterns.length);
  const key = isEmpty ? "" : [candle.t, x, ...sentences, ...patterns.map(label)].join("\n");
  if (key === shown) return;
  shown = key;
  box.hidden = isEmpty;
  if (isEmpty) return;
  box.replaceChildren(
    ...patterns.slice(0, MOST).map((each) => part(each.direction < 0 ? "down" : each.direction > 0 ? "up" : "", label(each))),
    ...(patterns.length > MOST ? [part("muted", `and ${patterns.length - MOST} more`)] : []),
    ...sentences.map((each) => part("flag", each)),
  );
  const isRight = x > at("chart").clientWidth / 2;
  box.style.left = isRight ? "" : `${x + OFF}px`;
  box.style.right = isRight ? `${at("charts").clientWidth - x + OFF}px` : "";
}
