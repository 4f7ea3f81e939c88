/** The dialog of rejects and dead letters, with counts in the footer. */

import { at, write } from "./elements";
import { decimal, stamp } from "./format";
import { json } from "./request";

const COUNTED_EACH_MS = 30_000;
const LISTED_EACH_MS = 5_000;
const LISTED = 100;
const MOST_LETTERS = 120;

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

const rejectsOf = (limit: number) => json<Rejects>(`/api/rejects?limit=${limit}`);
const lettersOf = () => json<DeadLetters>("/dead-letters");

export class InputSheet {
  private readonly dialog = at<HTMLDialogElement>("input");

  constructor() {
    for (const id of ["rejects-open", "letters-open"]) at(id).onclick = () => this.open();
  }

  /** Updates the counts, now and periodically. */
  async count(): Promise<void> {
    const [rejects, letters] = await Promise.all([rejectsOf(1).catch(() => undefined), lettersOf().catch(() => undefined)]);
    this.paint(rejects, letters);
    window.setTimeout(() => void this.count(), COUNTED_EACH_MS);
  }

  private open(): void {
    if (this.dialog.open) return;
    this.dialog.showModal();
    void this.list();
  }

  private async list(): Promise<void> {
    try {
      const [rejects, letters] = await Promise.all([rejectsOf(LISTED), lettersOf()]);
      this.paint(rejects, letters);
      const codes = (rejects?.counts ?? []).map(({ code, source, rejects: n, newest }) => [code, source, decimal(String(n)), stamp(newest)]);
      table("reject-counts", ["Reason", "Source", "24 hours", "Newest"], codes);
      table("reject-rows", ["Received", "Reason", "What is wrong", "What came"], (rejects?.rejects ?? []).map((each) => [stamp(each.received), each.code, each.detail, shownOf(each)]));
      table("letter-rows", ["ID", "Stored", "Event", "Went to", "Answer"], (letters?.letters ?? []).map((each) => [String(each.sequence), each.stored === null ? "–" : stamp(each.stored), `${each.type ?? ""} ${each.id ?? ""}`, each.destination ?? "–", [each.code, each.error].filter(Boolean).join(" ")]));
      write("input-said", said(rejects, letters));
    } catch (error) {
      write("input-said", error instanceof Error ? error.message : String(error));
    }
    window.setTimeout(() => { if (this.dialog.open) void this.list(); }, LISTED_EACH_MS);
  }

  private paint(rejects: Rejects | undefined, letters: DeadLetters | undefined): void {
    badge("rejects-open", rejects && total(rejects), "rejects");
    badge("letters-open", letters?.count, "dead letters");
  }
}

export function total({ counts }: Rejects): number {
  return counts.reduce((sum, { rejects }) => sum + rejects, 0);
}

/** Returns the original input, truncated with its size if it is long. */
export function shownOf({ original, bytes }: Reject): string {
  const cut = original.length > MOST_LETTERS || bytes > original.length;
  return cut ? `${original.slice(0, MOST_LETTERS)}… (${decimal(String(bytes))} bytes)` : original;
}

/** Summarizes the counts, with the commands to handle them. */
export function said(rejects: Rejects | undefined, letters: DeadLetters | undefined): string {
  const some = rejects && total(rejects) ? `${decimal(String(total(rejects)))} rejects in 24 hours: after a fix, kandle rejects replay.` : "No rejects in 24 hours.";
  return `${some} ${letters?.count ? `${decimal(String(letters.count))} dead letters: kandle dlq list, kandle dlq replay.` : "No dead letters."}`;
}

function badge(id: string, count: number | undefined, name: string): void {
  write(id, count === undefined ? "" : `${decimal(String(count))} ${name}`);
  at(id).dataset.some = String(Boolean(count));
}

function table(id: string, heads: string[], rows: string[][]): void {
  const line = (kind: "td" | "th", cells: string[]): HTMLTableRowElement => {
    const made = document.createElement("tr");
    made.append(...cells.map((textContent) => Object.assign(document.createElement(kind), { textContent })));
    return made;
  };
  const found = at<HTMLTableElement>(id);
  found.hidden = !rows.length;
  found.replaceChildren(document.createElement("thead"), document.createElement("tbody"));
  found.tHead!.append(line("th", heads));
  found.tBodies[0]!.append(...rows.map((each) => line("td", each)));
}
