/** The `?` dialog: keyboard shortcuts, time zone and number format, import and export of settings. */

import { download } from "../model/bars";
import { byId, select } from "../browser/elements";
import { DIGITS, NUMBERS } from "../model/format";
import type { Settings } from "../browser/settings";
import { ZONES, zoneTitle } from "../model/zones";

const KEYS: [string, string][] = [
  ["/", "search; Enter opens the first result"],
  ["↑ ↓", "previous or next symbol"],
  ["1 – 8", "timeframe"],
  ["b", "bars by ticks, volume, value or range; other timeframes"],
  ["← → + −", "move and zoom the chart"],
  ["i", "indicators and their parameters"],
  ["f", "favourite: first in the list"],
  ["g", "groups of this symbol"],
  ["G", "next group"],
  ["a", "add this symbol to the current group"],
  ["x", "remove this symbol from the group, or hide it"],
  ["F", "full screen"],
  ["t", "dark or light theme"],
  ["?", "this dialog; Escape closes it"],
];

export interface Dependencies {
  settings: Settings;
  /** Settings were replaced. */
  onReplaced(): void;
}

export function settingsDialog({ settings, onReplaced }: Dependencies): { open(): void } {
  const dialog = byId<HTMLDialogElement>("sheet");
  byId("keys").replaceChildren(
    ...KEYS.flatMap(([keys, does]) => {
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      term.append(...keys.split(" ").map((each) => Object.assign(document.createElement("kbd"), { textContent: each })));
      text.textContent = does;
      return [term, text];
    }),
  );
  const session = byId<HTMLInputElement>("session");
  session.onchange = () => settings.set({ session: session.value.trim() });
  byId("export").onclick = () => download("kandle-settings.json", new Blob([settings.json], { type: "application/json" }));
  byId<HTMLInputElement>("import").onchange = async ({ target }) => {
    const [file] = (target as HTMLInputElement).files ?? [];
    if (!file) return;
    settings.replace(await file.text());
    onReplaced();
  };
  byId("unhide").onclick = () => {
    settings.set({ hidden: [] });
    onReplaced();
  };
  byId("defaults").onclick = () => {
    settings.replace("{}");
    onReplaced();
  };
  return {
    open: () => {
      select("zone", ZONES, settings.now.zone, (zone) => settings.set({ zone }), zoneTitle);
      select("numbers", NUMBERS, settings.now.numbers, (numbers) => settings.set({ numbers }));
      select("digits", DIGITS, settings.now.digits, (digits) => settings.set({ digits }));
      session.value = settings.now.session;
      byId("unhide").hidden = !settings.now.hidden.length;
      byId("unhide").textContent = `Show ${settings.now.hidden.length} hidden symbols`;
      dialog.showModal();
    },
  };
}
