/** Patterns of the range that is viewed: the newest at first, older ones as the view comes to them. */

import type { Pattern } from "./live";

/** Reads all patterns that became known in [from, to), ms since 1970. */
export type Read = (from: number, to: number) => Promise<Pattern[]>;

export class PatternPages {
  private low = Infinity;
  private reading = false;

  constructor(private readonly read: Read) {}

  /** Begin anew: all from `low` on are known, ms since 1970; 0: all there are. */
  known(low: number): void {
    this.low = low;
  }

  /** What the view needs and was not read before; none while that is being read. */
  async upTo(from: number): Promise<Pattern[]> {
    if (from >= this.low || this.reading) return [];
    const before = this.low;
    this.reading = true;
    try {
      const found = await this.read(from, before);
      if (this.low === before) this.low = from;
      return found;
    } finally {
      this.reading = false;
    }
  }
}
