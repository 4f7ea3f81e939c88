/** Client of the live feed over WebSocket: resubscribes after a disconnect and resumes from the last message. */

import { protocols } from "./token";
import type { Alert, Bust, LiveCandle, Pattern, Tick } from "../model/messages";

export type State = "connecting" | "live" | "reconnecting";

export interface LiveHandlers {
  /** `late` means that a trade with a later event time came before; `isSnapshot` that it is from a snapshot. */
  tick(tick: Tick, late: boolean, isSnapshot: boolean): void;
  /** `received` is the receive time of the newest tick included, ms since 1970, if known. */
  candle(candle: LiveCandle, received: number | null, isSnapshot: boolean): void;
  pattern(pattern: Pattern): void;
  bust?(bust: Bust): void;
  alert(alert: Alert, isSnapshot: boolean): void;
  /** The channels are subscribed; earlier changes are only in history. */
  subscribed(channels: string[]): void;
  /** Messages were missed: everything must be reloaded. */
  missed(): void;
  state(state: State, retryInMs?: number): void;
  /** The server refused a channel. */
  refused(message: string): void;
  /** A ping sent at `sent` was answered at `came` (ms since 1970) with the server's time. */
  pong(sent: number, answered: number, server: number): void;
}

export interface Frame {
  type: string;
  channel?: string;
  channels?: string[];
  seq?: number;
  stream?: string;
  replayed?: boolean;
  data?: unknown;
  late?: boolean;
  received?: number | null;
  time_ms?: number;
  state?: string;
  items?: { channel: string; seq: number; received?: number | null; data: unknown }[];
  more?: boolean;
  code?: string;
  msg?: string;
}

const PING_EVERY_MS = 2_000;
const SILENCE_TIMEOUT_MS = 7_000;
/** Timeout for a subscription: the server may load a day of bars before it answers, and answers in order, pings included. */
const SUBSCRIBE_TIMEOUT_MS = 60_000;
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 8_000;

export class Live {
  private socket: WebSocket | undefined;
  private readonly channels = new Set<string>();
  private seq: number | undefined;
  private stream = "";
  private attempts = 0;
  private lastMessageMs = 0;
  /** Number of unanswered subscriptions. */
  private unanswered = 0;
  /** When the unanswered ping was sent; 0 if none is. */
  private pingSentMs = 0;
  private timer: number | undefined;

  constructor(
    private readonly url: string,
    private readonly handlers: LiveHandlers,
  ) {}

  /** Connects, and reconnects whenever needed. */
  start(): void {
    this.connect();
    window.setInterval(() => this.checkConnection(), PING_EVERY_MS);
    window.addEventListener("online", () => this.reconnect(0));
  }

  /** Subscribes to more channels. The response starts with a snapshot. */
  subscribe(...channels: string[]): void {
    const added = channels.filter((each) => !this.channels.has(each));
    for (const each of added) this.channels.add(each);
    this.sendSubscribe(added);
  }

  unsubscribe(...channels: string[]): void {
    const removed = channels.filter((each) => this.channels.delete(each));
    if (removed.length) this.send({ op: "unsubscribe", channels: removed });
  }

  private connect(): void {
    this.handlers.state(this.attempts ? "reconnecting" : "connecting");
    const socket = new WebSocket(this.url, protocols());
    this.socket = socket;
    this.lastMessageMs = Date.now();
    socket.onopen = () => {
      this.lastMessageMs = Date.now();
      this.unanswered = 0;
      this.sendSubscribe([...this.channels], this.seq === undefined ? {} : { from_seq: this.seq, stream: this.stream });
      this.ping();
    };
    socket.onmessage = (message) => this.handle(JSON.parse(message.data as string) as Frame);
    socket.onclose = () => {
      if (this.socket === socket) this.reconnect();
    };
  }

  /** Reconnects after a delay, by default an exponential backoff with jitter. */
  private reconnect(waitMs?: number): void {
    if (this.socket?.readyState === WebSocket.OPEN && waitMs === 0) return;
    window.clearTimeout(this.timer);
    const maxWait = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** this.attempts);
    const wait = waitMs ?? maxWait * (0.5 + Math.random() / 2);
    this.attempts += 1;
    this.handlers.state("reconnecting", wait);
    this.timer = window.setTimeout(() => this.connect(), wait);
  }

  private checkConnection(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (!this.pingSentMs) return this.ping();
    // The age of the last message alone says nothing: browsers run the timers of hidden pages once a minute.
    if (Date.now() - Math.max(this.lastMessageMs, this.pingSentMs) > (this.unanswered ? SUBSCRIBE_TIMEOUT_MS : SILENCE_TIMEOUT_MS)) {
      // A silent connection is dead, whatever the browser reports.
      const silent = this.socket;
      this.socket = undefined;
      silent.close();
      this.reconnect();
    }
  }

  /** Sends subscriptions, those of bars last and separately: they wait until the server has loaded their day. */
  private sendSubscribe(channels: string[], resume: object = {}): void {
    const isBars = (each: string): boolean => each.startsWith("bars:");
    for (const batch of [channels.filter((each) => !isBars(each)), channels.filter(isBars)]) {
      if (!batch.length || !this.send({ op: "subscribe", channels: batch, ...resume })) continue;
      this.unanswered += 1;
    }
  }

  private ping(): void {
    this.pingSentMs = Date.now();
    this.send({ op: "ping" });
  }

  private send(request: object): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(request));
    return true;
  }

  /** Sets the resume position, which is that of all channels: it stays while a subscription is unanswered. */
  private advance({ seq }: Frame): void {
    if (!this.unanswered) this.seq = seq;
  }

  private handle(frame: Frame): void {
    this.lastMessageMs = Date.now();
    switch (frame.type) {
      case "update":
        this.advance(frame);
        dispatch(this.handlers, frame.channel!, frame.data, frame);
        break;
      case "snapshot":
        for (const item of frame.items ?? []) dispatch(this.handlers, item.channel, item.data, item, true);
        if (!frame.more) this.advance(frame);
        break;
      case "subscribed": {
        this.unanswered = Math.max(0, this.unanswered - 1);
        const wasDisconnected = this.attempts > 0;
        const isOtherStream = this.stream !== "" && this.stream !== frame.stream;
        if (isOtherStream) this.seq = undefined;
        this.stream = frame.stream ?? "";
        this.attempts = 0;
        this.handlers.state("live");
        if (frame.replayed) this.advance(frame);
        if (wasDisconnected && frame.replayed === false) this.handlers.missed();
        else if (!frame.replayed) this.handlers.subscribed(frame.channels ?? []);
        break;
      }
      case "rate_limit":
        this.socket?.close(); // the request was not carried out: all are sent again after the backoff
        break;
      case "pong":
        if (frame.time_ms) this.handlers.pong(this.pingSentMs, Date.now(), frame.time_ms);
        this.pingSentMs = 0;
        break;
      case "error":
        this.unanswered = Math.max(0, this.unanswered - 1); // assume that it answers a subscription
        console.warn(`live feed: ${frame.code}: ${frame.msg}`);
        if (frame.code === "bad_channels") this.handlers.refused(frame.msg ?? "");
        break;
    }
  }
}

/** Sets a bar's full interval, which includes the session, from its channel. */
function withInterval(channel: string, bar: LiveCandle): LiveCandle {
  return { ...bar, timeframe: channel.slice("bars:".length, -bar.symbol.length - 1) };
}

/** Dispatches a channel's message to the matching callback. */
export function dispatch(
  handlers: Pick<LiveHandlers, "tick" | "candle" | "pattern"> & Partial<LiveHandlers>,
  channel: string,
  data: unknown,
  meta: { late?: boolean; received?: number | null },
  isSnapshot = false,
): void {
  if (channel.startsWith("ticks:")) handlers.tick(data as Tick, meta.late ?? false, isSnapshot);
  else if (channel.startsWith("candles:")) handlers.candle(data as LiveCandle, meta.received ?? null, isSnapshot);
  else if (channel.startsWith("bars:")) handlers.candle(withInterval(channel, data as LiveCandle), meta.received ?? null, isSnapshot);
  else if (channel.startsWith("busts:")) handlers.bust?.(data as Bust);
  else if (channel.startsWith("patterns:")) handlers.pattern(data as Pattern);
  else if (channel.startsWith("alerts:")) handlers.alert?.(data as Alert, isSnapshot);
}
