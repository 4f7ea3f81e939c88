/** Schedules drawing in animation frames, using at most half of the main thread's time. */

/** Idle time after a frame, as a multiple of its drawing time. */
const IDLE_FOR_WORK = 1;
/** Interval between full redraws: they lay out most of the page, so busy frames draw the urgent parts only. */
const ALL_EACH_MS = 100;

export class Frames {
  private dirty = false;
  private painting = false;
  private all = false;
  private drawn = -Infinity;
  private waiting: number | undefined;

  /** `paint` draws the urgent parts, or everything. */
  constructor(private readonly paint: (all: boolean) => void) {}

  /** Requests a full redraw in the next frame. */
  touch(): void {
    this.all = true;
    this.ask();
  }

  /** Requests the urgent parts in the next frame, and the rest within 100 ms. */
  urgent(): void {
    this.soon();
    this.ask();
  }

  /** Requests a full redraw within 100 ms. */
  soon(): void {
    this.waiting ??= window.setTimeout(() => this.touch(), ALL_EACH_MS);
  }

  private ask(): void {
    this.dirty = true;
    if (this.painting) return;
    this.painting = true;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    const began = performance.now();
    const all = this.all || began - this.drawn >= ALL_EACH_MS;
    this.dirty = false;
    if (all) {
      window.clearTimeout(this.waiting);
      [this.all, this.drawn, this.waiting] = [false, began, undefined];
    }
    this.paint(all);
    window.setTimeout(() => {
      this.painting = false;
      if (this.dirty) this.ask();
    }, IDLE_FOR_WORK * (performance.now() - began));
  }
}
