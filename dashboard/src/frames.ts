/** Draws with the next frame of the browser; of a slow machine the smaller part of the time. */

/** Drawing takes one part of the time at most, and leaves as much to what comes. */
const IDLE_FOR_WORK = 1;
const SOON_MS = 100;

export class Frames {
  private dirty = false;
  private painting = false;
  private waiting: number | undefined;

  constructor(private readonly paint: () => void) {}

  /** Something has changed. */
  touch(): void {
    this.dirty = true;
    if (this.painting) return;
    this.painting = true;
    requestAnimationFrame(() => this.frame());
  }

  /** Something has changed that may wait for a moment: it is drawn with the next change, within 100 ms. */
  soon(): void {
    this.waiting ??= window.setTimeout(() => this.touch(), SOON_MS);
  }

  private frame(): void {
    const began = performance.now();
    this.dirty = false;
    window.clearTimeout(this.waiting);
    this.waiting = undefined;
    this.paint();
    window.setTimeout(() => {
      this.painting = false;
      if (this.dirty) this.touch();
    }, IDLE_FOR_WORK * (performance.now() - began));
  }
}
