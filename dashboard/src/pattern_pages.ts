/** Loads patterns for the visible range: the newest first, older ones as the view reaches them. */

import type { Pattern } from "./live";

/** Fetches all patterns detected in [from, to), ms since 1970. */
export type Read = (from: number, to: number) => Promise<Pattern[]>;

export class PatternPages {
  private low = Infinity;
  private wanted = Infinity;
  private reading = false;

  constructor(private readonly read: Read) {}

  /** Records that all patterns since `low` (ms since 1970) are loaded; 0 means all there are. */
  known(low: number): void {
    this.low = Math.min(this.low, low);
  }

  /** Fetches the page of at most `limit` patterns before the loaded ones. */
  async before(read: (to: number) => Promise<Pattern[]>, limit: number): Promise<Pattern[]> {
    if (this.reading || !this.low) return [];
    this.reading = true;
    try {
      const found = await read(this.low);
      this.known(found.length < limit ? 0 : Math.min(...found.map(({ timestamp }) => timestamp)) + 1);
      return found;
    } finally {
      this.reading = false;
    }
  }

  /**
   * Fetches the patterns that a view starting at `from` lacks. A call during a pending one returns
   * nothing: the pending one then also fetches what it needs.
   */
  async upTo(from: number): Promise<Pattern[]> {
    this.wanted = from;
    if (this.reading) return [];
    this.reading = true;
    const found: Pattern[] = [];
    try {
      while (this.wanted < this.low) {
        const to = this.wanted;
        found.push(...(await this.read(to, this.low)));
        this.known(to);
      }
      return found;
    } finally {
      this.reading = false;
    }
  }
}
