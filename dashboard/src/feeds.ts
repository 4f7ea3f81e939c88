/** The feeds dialog: state, age, rate, gaps and history of each symbol, refreshed while it is open. */

import { at } from "./elements";
import { ago } from "./freshness";
import type { Feed } from "./quotes";

const EACH_MS = 2_000;

export const COLUMNS = ["Instrument", "State", "Age", "Trades/min", "Gaps open", "Filled", "History", "Skew", "Reconnects"];

/** Returns the table cells of each symbol, in the order of COLUMNS. `now` is in ms since 1970. */
export function rows(feeds: readonly Feed[], now: number): string[][] {
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
export function counted(states: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const each of states) counts.set(each, (counts.get(each) ?? 0) + 1);
  const texts = [...counts].sort(([, a], [, b]) => b - a).map(([state, n], at) => `${n} ${at ? "" : "feeds "}${state}`);
  return texts.join(", ");
}

/** Lists feed errors: `kraken: rate limited`. */
export function errors(feeds: readonly Feed[]): string {
  return feeds.filter(({ error }) => error).map(({ feed, error }) => `${feed}: ${error}`).join("\n");
}

/** Returns a function that opens the dialog. It calls `read` until it is closed. */
export function feedSheet(read: () => Promise<Feed[]>): () => void {
  const dialog = at<HTMLDialogElement>("feeds");
  const show = async (): Promise<void> => {
    try {
      draw(await read());
    } catch (error) {
      at("feeds-said").textContent = String((error as Error).message);
    }
    if (dialog.open) window.setTimeout(() => void (dialog.open && show()), EACH_MS);
  };
  at<HTMLTableElement>("feed-table").tHead!.replaceChildren(line("th", COLUMNS));
  return () => {
    if (dialog.open) return;
    dialog.showModal();
    void show();
  };
}

function draw(feeds: Feed[]): void {
  const said = feeds.length ? errors(feeds) : "No feed has reported: kandle feed add binance:BTCUSDT";
  at("feeds-said").textContent = said;
  at("feed-table").hidden = !feeds.length;
  const body = rows(feeds, Date.now()).map((cells) => {
    const made = line("td", cells);
    made.dataset.state = cells[1];
    return made;
  });
  at<HTMLTableElement>("feed-table").tBodies[0]!.replaceChildren(...body);
}

function line(kind: "td" | "th", cells: readonly string[]): HTMLTableRowElement {
  const made = document.createElement("tr");
  made.append(...cells.map((textContent) => Object.assign(document.createElement(kind), { textContent })));
  return made;
}
