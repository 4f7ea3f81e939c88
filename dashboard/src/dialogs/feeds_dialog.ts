/** The feeds dialog: state, age, rate, gaps and history of each symbol, refreshed while it is open. */

import { byId, fillTable, setText } from "../browser/elements";
import { ago } from "../model/freshness";
import type { Feed } from "../server/quotes";

const REFRESH_MS = 2_000;

export const COLUMNS = ["Instrument", "State", "Age", "Trades/min", "Gaps open", "Filled", "History", "Skew", "Reconnects"];

/** Returns the table cells of each symbol, in the order of COLUMNS. `now` is in ms since 1970. */
export function feedRows(feeds: readonly Feed[], now: number): string[][] {
  return feeds.flatMap(({ symbols, skew_ms, reconnects }) =>
    symbols.map(({ instrument, state, last_message, trades_per_minute, gaps, history: { done, parts } }) => [
      instrument,
      state,
      last_message === null ? "–" : ago(now - last_message),
      String(trades_per_minute),
      gaps.missing ? `${gaps.open} (${gaps.missing})` : String(gaps.open),
      String(gaps.filled),
      parts ? `${Math.floor((done / parts) * 100)} %` : "–",
      skew_ms === null ? "–" : `${skew_ms} ms`,
      String(reconnects),
    ]),
  );
}

/** Summarizes feed states: `12 feeds live, 1 stalled`. Empty without feeds. */
export function summarizeStates(states: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const each of states) counts.set(each, (counts.get(each) ?? 0) + 1);
  const texts = [...counts].sort(([, a], [, b]) => b - a).map(([state, n], at) => `${n} ${at ? "" : "feeds "}${state}`);
  return texts.join(", ");
}

/** Lists feed errors: `kraken: rate limited`. */
export function feedErrors(feeds: readonly Feed[]): string {
  return feeds.filter(({ error }) => error).map(({ feed, error }) => `${feed}: ${error}`).join("\n");
}

/** Returns a function that opens the dialog. It calls `read` until it is closed. */
export function feedsDialog(fetchFeeds: () => Promise<Feed[]>): () => void {
  const dialog = byId<HTMLDialogElement>("feeds");
  const refresh = async (): Promise<void> => {
    try {
      draw(await fetchFeeds());
    } catch (error) {
      setText("feeds-message", String((error as Error).message));
    }
    if (dialog.open) window.setTimeout(() => void (dialog.open && refresh()), REFRESH_MS);
  };
  return () => {
    if (dialog.open) return;
    dialog.showModal();
    void refresh();
  };
}

function draw(feeds: Feed[]): void {
  const message = feeds.length ? feedErrors(feeds) : "No feeds yet. To add one: kandle feed add binance:BTCUSDT";
  setText("feeds-message", message);
  for (const row of fillTable(byId("feed-table"), COLUMNS, feedRows(feeds, Date.now()))) row.dataset.state = row.cells[1]!.textContent;
}
