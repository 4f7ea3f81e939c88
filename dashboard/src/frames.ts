/** Draws with the next frame of the browser; of a slow machine the smaller part of the time. */

/** Drawing takes one part of the time at most, and leaves as much to what comes. */
const IDLE_FOR_WORK = 1;

export class Frames {
  private dirty = false;
  private painting = false;

  constructor(private readonly paint: () => void) {}

  /** Something has changed. */
  touch(): void {
    this.dirty = true;
    if (this.painting) return;
    this.painting = true;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    const began = performance.now();
    this.dirty = false;
    this.paint();
    window.setTimeout(() => {
      this.painting = false;
      if (this.dirty) this.touch();
    }, IDLE_FOR_WORK * (performance.now() - began));
  }
}
