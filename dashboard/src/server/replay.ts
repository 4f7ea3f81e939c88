/** Client of a replay over its own WebSocket: play, pause, change speed. */

import { dispatch, type Frame, type LiveHandlers } from "./live";
import { protocols } from "./token";

export type ReplayState = "off" | "loading" | "playing" | "paused" | "ended" | "failed";

export interface ReplayRequest {
  channels: string[];
  /** Start, ms since 1970. */
  from: number;
  speed: number;
  by: "event" | "receipt";
}

const RETRY_MS = 1_000;

export class Replay {
  state: ReplayState = "off";
  private socket: WebSocket | undefined;
  private request: ReplayRequest | undefined;
  private position = 0;
  private positionSetAt = 0;
  private timer: number | undefined;

  constructor(
    private readonly url: string,
    private readonly handlers: Pick<LiveHandlers, "tick" | "candle" | "pattern">,
    private readonly onState: (problem?: string) => void,
  ) {}

  get isOn(): boolean {
    return this.state !== "off";
  }

  get speed(): number {
    return this.request?.speed ?? 1;
  }

  get by(): ReplayRequest["by"] {
    return this.request?.by ?? "event";
  }

  /** The replay's current time, ms since 1970. */
  get time(): number {
    return this.state === "playing" ? this.position + (Date.now() - this.positionSetAt) * this.speed : this.position;
  }

  /** Enters the state of a replay before its first frame, so that live data is no longer applied. */
  prepare(from: number): void {
    this.close();
    this.position = from;
    this.setState("loading");
  }

  start(request: ReplayRequest): void {
    this.prepare(request.from);
    this.request = request;
    const socket = new WebSocket(this.url, protocols());
    this.socket = socket;
    socket.onopen = () => this.send({ op: "replay", ...request });
    socket.onmessage = (message) => this.handle(JSON.parse(message.data as string) as Frame);
    socket.onclose = () => {
      if (this.socket !== socket || this.state === "ended" || this.state === "failed") return;
      this.timer = window.setTimeout(() => this.start({ ...request, speed: this.speed, from: Math.round(this.position) }), RETRY_MS);
    };
  }

  toggle(): void {
    this.send(this.state === "paused" ? { op: "resume", speed: this.speed } : { op: "pause" });
  }

  setSpeed(speed: number): void {
    if (!this.request) return;
    this.request.speed = speed;
    if (this.state === "playing") this.send({ op: "resume", speed });
  }

  stop(): void {
    this.close();
    this.setState("off");
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

  private handle(frame: Frame): void {
    switch (frame.type) {
      case "update":
        dispatch(this.handlers, frame.channel!, frame.data, frame);
        break;
      case "snapshot":
        for (const item of frame.items ?? []) dispatch(this.handlers, item.channel, item.data, item, true);
        break;
      case "replay":
        this.position = frame.time_ms ?? this.position;
        this.positionSetAt = Date.now();
        this.setState((frame.state ?? "failed") as ReplayState);
        break;
      case "error":
        this.setState("failed", frame.msg ?? frame.code);
        break;
    }
  }

  private setState(state: ReplayState, problem?: string): void {
    this.state = state;
    this.onState(problem);
  }
}
