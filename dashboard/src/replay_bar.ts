/** The replay controls: start, speed and order; play, pause, back to live. */

import type { Replay, Wish } from "./replay";

const SPEEDS = [1, 10, 60, 600, 3_600];
const HOUR_MS = 3_600_000;

export class ReplayBar {
  private readonly form = at<HTMLFormElement>("replay-bar");
  private readonly open = at<HTMLButtonElement>("replay");
  private readonly from = at<HTMLInputElement>("replay-from");
  private readonly speed = at<HTMLSelectElement>("replay-speed");
  private readonly by = at<HTMLSelectElement>("replay-by");
  private readonly play = at<HTMLButtonElement>("replay-play");

  constructor(
    private readonly replay: Replay,
    onPlay: (from: number, speed: number, by: Wish["by"]) => void,
    onLive: () => void,
    suggested: () => number,
  ) {
    this.speed.append(...SPEEDS.map((each) => new Option(`${each} ×`, String(each), each === 10, each === 10)));
    this.open.onclick = () => {
      this.form.hidden = !this.form.hidden;
      this.open.setAttribute("aria-expanded", String(!this.form.hidden));
      if (!this.from.value) this.from.value = new Date(suggested() - HOUR_MS).toISOString().slice(0, 19);
    };
    this.form.onsubmit = (event) => {
      event.preventDefault();
      const from = Date.parse(`${this.from.value}Z`);
      if ((replay.state === "playing" || replay.state === "paused") && !this.changed) replay.toggle();
      else if (from) onPlay(from, Number(this.speed.value), this.by.value as Wish["by"]);
      this.changed = false;
    };
    this.from.oninput = this.by.onchange = () => {
      this.changed = true;
      this.show();
    };
    this.speed.onchange = () => replay.pace(Number(this.speed.value));
    at<HTMLButtonElement>("replay-live").onclick = () => {
      this.form.hidden = true;
      this.open.setAttribute("aria-expanded", "false");
      onLive();
    };
  }

  private changed = false;

  /** Updates the label of the play button. */
  show(): void {
    const goes = this.replay.state === "playing" && !this.changed;
    this.play.textContent = goes ? "Pause" : this.replay.state === "paused" && !this.changed ? "Go on" : "Play";
    this.open.setAttribute("aria-pressed", String(this.replay.on));
  }
}

function at<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
