/** Timeframe buttons, with a form for bar types and other timeframes. */

import { byId, button, checkRadio } from "../browser/elements";
import { MEASURES, TIMEFRAMES, canonicalBarType, intervalTitle, isInterval, type Measure } from "../model/interval";
import type { Instrument } from "../model/market";
import { MAX_FRAMES, isStandard, type Settings } from "../browser/settings";

/** Number of bars a day that the suggested size aims at. */
const BARS_A_DAY = 500;
const RANGE_STEPS = 50;
const DEFAULT_TICKS = "100";

export class IntervalPicker {
  private readonly box = byId<HTMLDetailsElement>("frame-more");
  private readonly kind = byId<HTMLSelectElement>("frame-kind");
  private readonly size = byId<HTMLInputElement>("frame-size");

  constructor(private readonly settings: Settings, private readonly instrument: () => Instrument, private readonly onInterval: (frame: string) => void) {
    const kinds: [string, string][] = [["tick", "ticks"], ["volume", "volume"], ["dollar", "value"], ["range", "range"], ["time", "another timeframe"]];
    this.kind.append(...kinds.map(([value, text]) => new Option(text, value)));
    this.kind.onchange = () => this.suggest();
    this.box.ontoggle = () => {
      if (this.box.open && !this.size.value) this.suggest();
    };
    byId<HTMLFormElement>("frame-form").onsubmit = (event) => {
      event.preventDefault();
      this.submit();
    };
  }

  /** Opens the form. */
  open(): void {
    this.box.open = true;
    this.kind.focus();
  }

  /** Marks the selected interval, adding a button for it if needed. */
  select(interval: string): void {
    const { frames } = this.settings.now;
    if (!isStandard(interval) && !frames.includes(interval)) this.settings.set({ frames: [...frames, interval].slice(-MAX_FRAMES) });
    const all = [...TIMEFRAMES, ...this.settings.now.frames];
    const group = byId("timeframes");
    const names = [...group.querySelectorAll("button")].map(({ dataset }) => dataset.frame);
    if (names.join() !== all.join())
      group.replaceChildren(
        ...all.map((each) => button(intervalTitle(each), () => this.onInterval(each), { role: "radio", "data-frame": each, ...(isStandard(each) ? {} : { title: "Press Delete to remove" }) })),
      );
    for (const each of group.querySelectorAll("button")) each.onkeydown = ({ key }) => { if (key === "Delete") this.remove(each.dataset.frame!, interval); };
    checkRadio("timeframes", intervalTitle(interval));
  }

  private remove(removed: string, selected: string): void {
    if (isStandard(removed)) return;
    this.settings.set({ frames: this.settings.now.frames.filter((each) => each !== removed) });
    if (removed === selected) this.onInterval(TIMEFRAMES[0]);
    else this.select(selected);
    byId("timeframes").querySelector<HTMLElement>("[aria-checked=true]")!.focus();
  }

  private submit(): void {
    const text = this.size.value.trim();
    const interval = this.kind.value === "time" ? text : canonicalBarType(this.kind.value as Measure, text);
    const isValid = interval !== undefined && isInterval(interval);
    this.size.setCustomValidity(isValid ? "" : this.kind.value === "time" ? "for example 3m, 2h, 1d@XNYS" : "a number above 0; a whole number for ticks");
    this.size.reportValidity();
    if (!isValid) return;
    this.close();
    this.onInterval(interval);
  }

  private close(): void {
    this.box.open = false;
    this.box.querySelector("summary")!.focus();
  }

  /** Suggests a size from the last 24 hours of trading. */
  private suggest(): void {
    const { last, stats } = this.instrument();
    const sizes: Record<string, string> = {
      tick: DEFAULT_TICKS,
      volume: roundUp(Number(stats.volume) / BARS_A_DAY),
      dollar: roundUp((Number(stats.volume) * Number(last)) / BARS_A_DAY),
      range: roundUp((Number(stats.high) - Number(stats.low)) / RANGE_STEPS),
      time: "3m",
    };
    this.size.setCustomValidity("");
    this.size.value = sizes[this.kind.value] ?? "";
    this.size.inputMode = (MEASURES as readonly string[]).includes(this.kind.value) ? "decimal" : "text";
  }
}

/** Rounds up to 1, 2 or 5 times a power of ten. Empty if the value is not a positive number. */
export function roundUp(value: number): string {
  if (!(value > 0) || !Number.isFinite(value)) return "";
  const unit = 10 ** Math.floor(Math.log10(value));
  const result = [1, 2, 5, 10].find((each) => each * unit >= value)! * unit;
  return result.toFixed(Math.max(0, -Math.floor(Math.log10(result) + 1e-9)));
}
