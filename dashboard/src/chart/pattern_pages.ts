/** Loads patterns for the visible range: the newest first, older ones as the view reaches them. */

import type { Pattern } from "../model/messages";

/** Fetches all patterns detected in [from, to), ms since 1970. */
export type FetchPatterns = (from: number, to: number) => Promise<Pattern[]>;

export class PatternPages {
  private loadedFrom = Infinity;
  private requested = Infinity;
  private isLoading = false;

  constructor(private readonly fetch: FetchPatterns) {}

  /** Records that all patterns since `from` (ms since 1970) are loaded; 0 means all there are. */
  setLoaded(from: number): void {
    this.loadedFrom = Math.min(this.loadedFrom, from);
  }

  /** Fetches the page of at most `limit` patterns before the loaded ones. */
  async loadBefore(fetchBefore: (to: number) => Promise<Pattern[]>, limit: number): Promise<Pattern[]> {
    if (this.isLoading || !this.loadedFrom) return [];
    this.isLoading = true;
    try {
      const patterns = await fetchBefore(this.loadedFrom);
      this.setLoaded(patterns.length < limit ? 0 : Math.min(...patterns.map(({ timestamp }) => timestamp)) + 1);
      return patterns;
    } finally {
      this.isLoading = false;
    }
  }

  /**
   * Fetches the patterns that a view starting at `from` lacks. A call during a pending one returns
   * nothing: the pending one then also fetches what it needs.
   */
  async loadFrom(from: number): Promise<Pattern[]> {
    this.requested = from;
    if (this.isLoading) return [];
    this.isLoading = true;
    const patterns: Pattern[] = [];
    try {
      while (this.requested < this.loadedFrom) {
        const to = this.requested;
        patterns.push(...(await this.fetch(to, this.loadedFrom)));
        this.setLoaded(to);
      }
      return patterns;
    } finally {
      this.isLoading = false;
    }
  }
}
