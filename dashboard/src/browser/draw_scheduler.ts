/** Schedules drawing in animation frames, using at most half of the main thread's time. */

/** Idle time after a frame, as a multiple of its drawing time. */
const IDLE_RATIO = 1;
/** Interval between full redraws: they lay out most of the page, so busy frames draw the urgent parts only. */
const FULL_INTERVAL_MS = 100;

export class DrawScheduler {
  private isDirty = false;
  private isScheduled = false;
  private drawsAll = false;
  private lastFullDraw = -Infinity;
  private timer: number | undefined;

  /** `paint` draws the urgent parts, or everything. */
  constructor(private readonly paint: (all: boolean) => void) {}

  /** Requests a full redraw in the next frame. */
  request(): void {
    this.drawsAll = true;
    this.schedule();
  }

  /** Requests the urgent parts in the next frame, and the rest within 100 ms. */
  requestUrgent(): void {
    this.requestSoon();
    this.schedule();
  }

  /** Requests a full redraw within 100 ms. */
  requestSoon(): void {
    this.timer ??= window.setTimeout(() => this.request(), FULL_INTERVAL_MS);
  }

  private schedule(): void {
    this.isDirty = true;
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    const start = performance.now();
    const all = this.drawsAll || start - this.lastFullDraw >= FULL_INTERVAL_MS;
    this.isDirty = false;
    if (all) {
      window.clearTimeout(this.timer);
      [this.drawsAll, this.lastFullDraw, this.timer] = [false, start, undefined];
    }
    this.paint(all);
    window.setTimeout(() => {
      this.isScheduled = false;
      if (this.isDirty) this.schedule();
    }, IDLE_RATIO * (performance.now() - start));
  }
}
