/** Client of a replay over its own WebSocket: play, pause, change speed. */

import { give, type Frame, type Watch } from "./live";
import { protocols } from "./token";

export type ReplayState = "off" | "loading" | "playing" | "paused" | "ended" | "failed";

export interface Wish {
  channels: string[];
  /** Start, ms since 1970. */
  from: number;
  speed: number;
  by: "event" | "receipt";
}

const AGAIN_MS = 1_000;

export class Replay {
  state: ReplayState = "off";
  private socket: WebSocket | undefined;
  private wish: Wish | undefined;
  private at = 0;
  private since = 0;
  private timer: number | undefined;

  constructor(
    private readonly url: string,
    private readonly watch: Pick<Watch, "tick" | "candle" | "pattern">,
    private readonly onState: (problem?: string) => void,
  ) {}

  get on(): boolean {
    return this.state !== "off";
  }

  get speed(): number {
    return this.wish?.speed ?? 1;
  }

  get by(): Wish["by"] {
    return this.wish?.by ?? "event";
  }

  /** The replay's current time, ms since 1970. */
  get time(): number {
    return this.state === "playing" ? this.at + (Date.now() - this.since) * this.speed : this.at;
  }

  /** Enters the state of a replay before its first frame, so that live data is no longer applied. */
  prepare(from: number): void {
    this.close();
    this.at = from;
    this.become("loading");
  }

  start(wish: Wish): void {
    this.prepare(wish.from);
    this.wish = wish;
    const socket = new WebSocket(this.url, protocols());
    this.socket = socket;
    socket.onopen = () => this.send({ op: "replay", ...wish });
    socket.onmessage = (message) => this.take(JSON.parse(message.data as string) as Frame);
    socket.onclose = () => {
      if (this.socket !== socket || this.state === "ended" || this.state === "failed") return;
      this.timer = window.setTimeout(() => this.start({ ...wish, speed: this.speed, from: Math.round(this.at) }), AGAIN_MS);
    };
  }

  toggle(): void {
    this.send(this.state === "paused" ? { op: "resume", speed: this.speed } : { op: "pause" });
  }

  pace(speed: number): void {
    if (!this.wish) return;
    this.wish.speed = speed;
    if (this.state === "playing") this.send({ op: "resume", speed });
  }

  stop(): void {
    this.close();
    this.become("off");
  }

  private close(): void {
    window.clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
  }

  private send(request: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
  }

  private take(frame: Frame): void {
    switch (frame.type) {
      case "update":
        give(this.watch, frame.channel!, frame.data, frame);
        break;
      case "snapshot":
        for (const item of frame.items ?? []) give(this.watch, item.channel, item.data, item, true);
        break;
      case "replay":
        this.at = frame.time_ms ?? this.at;
        this.since = Date.now();
        this.become((frame.state ?? "failed") as ReplayState);
        break;
      case "error":
        this.become("failed", frame.msg ?? frame.code);
        break;
    }
  }

  private become(state: ReplayState, problem?: string): void {
    this.state = state;
    this.onState(problem);
  }
}
