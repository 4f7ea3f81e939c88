/** Timeframe buttons, with a form for bar types and other timeframes. */

import { at, button } from "./elements";
import { MEASURES, TIMEFRAMES, barType, frameTitle, isFrame, type Measure } from "./frame";
import type { Instrument } from "./market";
import { MOST_FRAMES, isUsual, type Settings } from "./settings";

/** Number of bars a day that the suggested size aims at. */
const BARS_A_DAY = 500;
const BARS_HIGH = 50;
const TICKS = "100";

export class FramePicker {
  private readonly box = at<HTMLDetailsElement>("frame-more");
  private readonly kind = at<HTMLSelectElement>("frame-kind");
  private readonly size = at<HTMLInputElement>("frame-size");

  constructor(private readonly settings: Settings, private readonly instrument: () => Instrument, private readonly onFrame: (frame: string) => void) {
    const kinds: [string, string][] = [["tick", "ticks"], ["volume", "volume"], ["dollar", "value"], ["range", "range"], ["time", "another timeframe"]];
    this.kind.append(...kinds.map(([value, text]) => new Option(text, value)));
    this.kind.onchange = () => this.suggest();
    this.box.ontoggle = () => {
      if (this.box.open && !this.size.value) this.suggest();
    };
    at<HTMLFormElement>("frame-form").onsubmit = (event) => {
      event.preventDefault();
      this.choose();
    };
    this.box.onkeydown = ({ key }) => {
      if (key === "Escape") this.close();
    };
  }

  /** Opens the form. */
  open(): void {
    this.box.open = true;
    this.kind.focus();
  }

  /** Marks the selected interval, adding a button for it if needed. */
  show(frame: string): void {
    const { frames } = this.settings.now;
    if (!isUsual(frame) && !frames.includes(frame)) this.settings.set({ frames: [...frames, frame].slice(-MOST_FRAMES) });
    const all = [...TIMEFRAMES, ...this.settings.now.frames];
    const group = at("timeframes");
    const names = [...group.querySelectorAll("button")].map(({ dataset }) => dataset.frame);
    if (names.join() !== all.join())
      group.replaceChildren(
        ...all.map((each) => button(frameTitle(each), () => this.onFrame(each), { role: "radio", "data-frame": each, ...(isUsual(each) ? {} : { title: "Delete takes it from here" }) })),
      );
    for (const each of group.querySelectorAll("button")) {
      each.setAttribute("aria-checked", String(each.dataset.frame === frame));
      each.onkeydown = ({ key }) => { if (key === "Delete") this.remove(each.dataset.frame!, frame); };
    }
  }

  private remove(gone: string, chosen: string): void {
    if (isUsual(gone) || gone === chosen) return;
    this.settings.set({ frames: this.settings.now.frames.filter((each) => each !== gone) });
    this.show(chosen);
  }

  private choose(): void {
    const text = this.size.value.trim();
    const frame = this.kind.value === "time" ? text : barType(this.kind.value as Measure, text);
    const isGood = frame !== undefined && isFrame(frame);
    this.size.setCustomValidity(isGood ? "" : this.kind.value === "time" ? "such as 3m, 2h, 1d@XNYS" : "a number above 0; whole of ticks");
    this.size.reportValidity();
    if (!isGood) return;
    this.close();
    this.onFrame(frame);
  }

  private close(): void {
    this.box.open = false;
    this.box.querySelector("summary")!.focus();
  }

  /** Suggests a size from the last 24 hours of trading. */
  private suggest(): void {
    const { last, day } = this.instrument();
    const offered: Record<string, string> = {
      tick: TICKS,
      volume: round(Number(day.volume) / BARS_A_DAY),
      dollar: round((Number(day.volume) * Number(last)) / BARS_A_DAY),
      range: round((Number(day.high) - Number(day.low)) / BARS_HIGH),
      time: "3m",
    };
    this.size.setCustomValidity("");
    this.size.value = offered[this.kind.value] ?? "";
    this.size.inputMode = (MEASURES as readonly string[]).includes(this.kind.value) ? "decimal" : "text";
  }
}

/** Rounds up to 1, 2 or 5 times a power of ten. Empty if the value is not a positive number. */
export function round(value: number): string {
  if (!(value > 0) || !Number.isFinite(value)) return "";
  const unit = 10 ** Math.floor(Math.log10(value));
  const found = [1, 2, 5, 10].find((each) => each * unit >= value)! * unit;
  return found.toFixed(Math.max(0, -Math.floor(Math.log10(found) + 1e-9)));
}
