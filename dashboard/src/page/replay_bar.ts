/** The replay controls: start, speed and order; play, pause, back to live. */

import { byId } from "../browser/elements";
import type { Replay, ReplayRequest } from "../server/replay";

const SPEEDS = [1, 10, 60, 600, 3_600];
const HOUR_MS = 3_600_000;

export class ReplayBar {
  private readonly form = byId<HTMLFormElement>("replay-bar");
  private readonly open = byId<HTMLButtonElement>("replay");
  private readonly from = byId<HTMLInputElement>("replay-from");
  private readonly speed = byId<HTMLSelectElement>("replay-speed");
  private readonly by = byId<HTMLSelectElement>("replay-by");
  private readonly play = byId<HTMLButtonElement>("replay-play");

  constructor(
    private readonly replay: Replay,
    onPlay: (from: number, speed: number, by: ReplayRequest["by"]) => void,
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
      if ((replay.state === "playing" || replay.state === "paused") && !this.isChanged) replay.toggle();
      else if (from) onPlay(from, Number(this.speed.value), this.by.value as ReplayRequest["by"]);
      this.isChanged = false;
    };
    this.from.oninput = this.by.onchange = () => {
      this.isChanged = true;
      this.update();
    };
    this.speed.onchange = () => replay.setSpeed(Number(this.speed.value));
    byId<HTMLButtonElement>("replay-live").onclick = () => {
      this.form.hidden = true;
      this.open.setAttribute("aria-expanded", "false");
      onLive();
    };
  }

  private isChanged = false;

  /** Updates the label of the play button. */
  update(): void {
    const isPlaying = this.replay.state === "playing" && !this.isChanged;
    this.play.textContent = isPlaying ? "Pause" : this.replay.state === "paused" && !this.isChanged ? "Resume" : "Play";
    this.open.setAttribute("aria-pressed", String(this.replay.isOn));
  }
}
