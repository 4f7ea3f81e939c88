/** The dialog of rejects and dead letters, with counts in the footer. */

import { byId, fillTable, setText } from "../browser/elements";
import { decimal, dateTime } from "../model/format";
import { getJson } from "../server/request";

const POLL_MS = 30_000;
const REFRESH_MS = 5_000;
const MAX_ROWS = 100;
const MAX_CHARS = 120;

export interface Reject {
  received: number;
  code: string;
  detail: string;
  original: string;
  bytes: number;
  source: string;
}

export interface Rejects {
  counts: { code: string; source: string; rejects: number; newest: number }[];
  rejects: Reject[];
}

export interface DeadLetter {
  sequence: number;
  stored: number | null;
  type: string | null;
  id: string | null;
  destination: string | null;
  code: string | null;
  error: string;
  bytes: number;
}

export interface DeadLetters {
  count: number;
  letters: DeadLetter[];
}

const fetchRejects = (limit: number) => getJson<Rejects>(`/api/rejects?limit=${limit}`);
const fetchLetters = () => getJson<DeadLetters>("/dead-letters");

export class RejectsDialog {
  private readonly dialog = byId<HTMLDialogElement>("input");

  constructor() {
    for (const id of ["rejects-open", "letters-open"]) byId(id).onclick = () => this.open();
  }

  /** Updates the counts, now and periodically. */
  async poll(): Promise<void> {
    const [rejects, letters] = await Promise.all([fetchRejects(1).catch(() => undefined), fetchLetters().catch(() => undefined)]);
    this.showCounts(rejects, letters);
    window.setTimeout(() => void this.poll(), POLL_MS);
  }

  private open(): void {
    if (this.dialog.open) return;
    this.dialog.showModal();
    void this.refresh();
  }

  private async refresh(): Promise<void> {
    try {
      const [rejects, letters] = await Promise.all([fetchRejects(MAX_ROWS), fetchLetters()]);
      this.showCounts(rejects, letters);
      const codes = (rejects?.counts ?? []).map(({ code, source, rejects: n, newest }) => [code, source, decimal(String(n)), dateTime(newest)]);
      fillTable(byId("reject-counts"), ["Reason", "Source", "24 hours", "Newest"], codes);
      fillTable(byId("reject-rows"), ["Received", "Reason", "Detail", "Original input"], (rejects?.rejects ?? []).map((each) => [dateTime(each.received), each.code, each.detail, excerpt(each)]));
      fillTable(byId("letter-rows"), ["ID", "Stored", "Event", "Destination", "Error"], (letters?.letters ?? []).map((each) => [String(each.sequence), each.stored === null ? "–" : dateTime(each.stored), `${each.type ?? ""} ${each.id ?? ""}`, each.destination ?? "–", [each.code, each.error].filter(Boolean).join(" ")]));
      setText("input-message", summarize(rejects, letters));
    } catch (error) {
      setText("input-message", error instanceof Error ? error.message : String(error));
    }
    window.setTimeout(() => { if (this.dialog.open) void this.refresh(); }, REFRESH_MS);
  }

  private showCounts(rejects: Rejects | undefined, letters: DeadLetters | undefined): void {
    badge("rejects-open", rejects && total(rejects), "rejects");
    badge("letters-open", letters?.count, "dead letters");
  }
}

export function total({ counts }: Rejects): number {
  return counts.reduce((sum, { rejects }) => sum + rejects, 0);
}

/** Returns the original input, truncated with its size if it is long. */
export function excerpt({ original, bytes }: Reject): string {
  const isCut = original.length > MAX_CHARS || bytes > original.length;
  return isCut ? `${original.slice(0, MAX_CHARS)}… (${decimal(String(bytes))} bytes)` : original;
}

/** Summarizes the counts, with the commands to handle them. */
export function summarize(rejects: Rejects | undefined, letters: DeadLetters | undefined): string {
  const rejectText = rejects && total(rejects) ? `${decimal(String(total(rejects)))} rejects in 24 hours. To retry them after a fix: kandle rejects replay.` : "No rejects in 24 hours.";
  return `${rejectText} ${letters?.count ? `${decimal(String(letters.count))} dead letters: kandle dlq list, kandle dlq replay.` : "No dead letters."}`;
}

function badge(id: string, count: number | undefined, name: string): void {
  setText(id, count === undefined ? "" : `${decimal(String(count))} ${name}`);
  byId(id).dataset.some = String(Boolean(count));
}
