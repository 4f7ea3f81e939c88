/** Patterns of the range that is viewed: the newest at first, older ones as the view comes to them. */

import type { Pattern } from "./live";

/** Reads all patterns that became known in [from, to), ms since 1970. */
export type Read = (from: number, to: number) => Promise<Pattern[]>;

export class PatternPages {
  private low = Infinity;
  private wanted = Infinity;
  private reading = false;

  constructor(private readonly read: Read) {}

  /** All from `low` on are known, ms since 1970; 0: all there are. */
  known(low: number): void {
    this.low = Math.min(this.low, low);
  }

  /** What `read` finds before those that are known: its newest, at most `limit`. */
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
   * What a view that begins at `from` needs and was not read before. While it is being read, another
   * view gets nothing itself: what that one needs comes with this answer.
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
