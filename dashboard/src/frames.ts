/** Draws with the next frame of the browser; of a slow machine the smaller part of the time. */

/** Drawing takes one part of the time at most, and leaves as much to what comes. */
const IDLE_FOR_WORK = 1;
/** A full redraw lays out most of the page: in a busy market only urgent parts are drawn each frame. */
const ALL_EACH_MS = 100;

export class Frames {
  private dirty = false;
  private painting = false;
  private all = false;
  private drawn = -Infinity;
  private waiting: number | undefined;

  /** `paint`: draws the urgent parts, or everything. */
  constructor(private readonly paint: (all: boolean) => void) {}

  /** Something has changed: draw all. */
  touch(): void {
    this.all = true;
    this.ask();
  }

  /** What is urgent has changed: draw it, and the rest within 100 ms. */
  urgent(): void {
    this.soon();
    this.ask();
  }

  /** Something has changed that may wait for 100 ms. */
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
