/** Client of the live feed over WebSocket: resubscribes after a disconnect and resumes from the last message. */

import type { Candle } from "./candles";
import { protocols } from "./token";

export interface Tick {
  symbol: string;
  price: string;
  size: string;
  t: number;
  side: "buy" | "sell" | null;
  trade_id: string | null;
  received: number;
  /** Whether the trade was cancelled or corrected, or is itself a correction. */
  mark?: "cancelled" | "corrected" | "correction" | undefined;
}

/** A cancel or correction of a trade. `t`, `venue` and unchanged fields of a correction are null. */
export interface Bust {
  symbol: string;
  trade_id: string;
  venue: string | null;
  status: "cancelled" | "corrected";
  price: string | null;
  size: string | null;
  t: number | null;
  received: number;
}

export interface LiveCandle extends Candle {
  symbol: string;
  timeframe: string;
}

/** A detected pattern, as in the history API. `timestamp` is the end of its last candle, ms since 1970. */
export interface Pattern {
  id: string;
  symbol: string;
  timeframe: string;
  pattern_type: string;
  kind: string;
  direction: number;
  confidence: number;
  level: string;
  trigger_price: string;
  timestamp: number;
  status: "active" | "retracted";
  revision: number;
}

/**
 * An alert. Comparisons have a `value`, patterns a `trigger_price`; `timeframe` is empty for rules
 * without candles. Times are ms since 1970.
 */
export interface Alert {
  rule_id: string;
  rule: string;
  symbol: string;
  timeframe: string;
  candle_start: number;
  timestamp: number;
  value?: string;
  trigger_price?: string;
  /** Whether its rule was muted. */
  muted?: boolean;
}

export type State = "connecting" | "live" | "reconnecting";

export interface Watch {
  /** `late` means that a trade with a later event time came before; `known` that it is from a snapshot. */
  tick(tick: Tick, late: boolean, known: boolean): void;
  /** `received` is the receive time of the newest tick included, ms since 1970, if known. */
  candle(candle: LiveCandle, received: number | null, known: boolean): void;
  pattern(pattern: Pattern): void;
  bust?(bust: Bust): void;
  alert(alert: Alert, known: boolean): void;
  /** The channels are subscribed; earlier changes are only in history. */
  subscribed(channels: string[]): void;
  /** Messages were missed: everything must be reloaded. */
  missed(): void;
  state(state: State, retryInMs?: number): void;
  /** The server refused a channel. */
  refused(message: string): void;
  /** A ping sent at `sent` was answered at `came` (ms since 1970) with the server's time. */
  pong(sent: number, came: number, server: number): void;
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
  retry_ms?: number;
  code?: string;
  msg?: string;
}

const PING_EVERY_MS = 2_000;
const SILENT_MS = 7_000;
/** Timeout for a subscription: the server may load a day of bars before it answers, and answers in order, pings included. */
const ANSWERED_MS = 60_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;

export class Live {
  private socket: WebSocket | undefined;
  private readonly wanted = new Set<string>();
  private seq: number | undefined;
  private stream = "";
  private cuts = 0;
  private heard = 0;
  /** Number of unanswered subscriptions. */
  private owed = 0;
  private pinged = 0;
  private timer: number | undefined;

  constructor(
    private readonly url: string,
    private readonly watch: Watch,
  ) {}

  /** Connects, and reconnects whenever needed. */
  start(): void {
    this.connect();
    window.setInterval(() => this.tend(), PING_EVERY_MS);
    window.addEventListener("online", () => this.again(0));
  }

  /** Subscribes to more channels. The response starts with a snapshot. */
  subscribe(...channels: string[]): void {
    const fresh = channels.filter((each) => !this.wanted.has(each));
    for (const each of fresh) this.wanted.add(each);
    this.ask(fresh);
  }

  unsubscribe(...channels: string[]): void {
    const known = channels.filter((each) => this.wanted.delete(each));
    if (known.length) this.send({ op: "unsubscribe", channels: known });
  }

  private connect(): void {
    this.watch.state(this.cuts ? "reconnecting" : "connecting");
    const socket = new WebSocket(this.url, protocols());
    this.socket = socket;
    this.heard = Date.now();
    socket.onopen = () => {
      this.heard = Date.now();
      this.owed = 0;
      this.ask([...this.wanted], this.seq === undefined ? {} : { from_seq: this.seq, stream: this.stream });
      this.ping();
    };
    socket.onmessage = (message) => this.take(JSON.parse(message.data as string) as Frame);
    socket.onclose = () => {
      if (this.socket === socket) this.again();
    };
  }

  /** Reconnects after a delay, by default an exponential backoff with jitter. */
  private again(waitMs?: number): void {
    if (this.socket?.readyState === WebSocket.OPEN && waitMs === 0) return;
    window.clearTimeout(this.timer);
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.cuts);
    const wait = waitMs ?? longest * (0.5 + Math.random() / 2);
    this.cuts += 1;
    this.watch.state("reconnecting", wait);
    this.timer = window.setTimeout(() => this.connect(), wait);
  }

  private tend(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (Date.now() - this.heard > (this.owed ? ANSWERED_MS : SILENT_MS)) {
      // A silent connection is dead, whatever the browser reports.
      const silent = this.socket;
      this.socket = undefined;
      silent.close();
      this.again();
      return;
    }
    this.ping();
  }

  /** Sends subscriptions, those of bars last and separately: they wait until the server has loaded their day. */
  private ask(channels: string[], place: object = {}): void {
    const areBars = (each: string): boolean => each.startsWith("bars:");
    for (const some of [channels.filter((each) => !areBars(each)), channels.filter(areBars)]) {
      if (!some.length || !this.send({ op: "subscribe", channels: some, ...place })) continue;
      this.owed += 1;
    }
  }

  private ping(): void {
    this.pinged = Date.now();
    this.send({ op: "ping" });
  }

  private send(request: object): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(request));
    return true;
  }

  private take(frame: Frame): void {
    this.heard = Date.now();
    switch (frame.type) {
      case "update":
        this.seq = Math.max(this.seq ?? 0, frame.seq ?? 0);
        give(this.watch, frame.channel!, frame.data, frame);
        break;
      case "snapshot":
        for (const item of frame.items ?? []) give(this.watch, item.channel, item.data, item, true);
        this.seq = Math.max(this.seq ?? 0, frame.seq ?? 0);
        break;
      case "subscribed": {
        this.owed = Math.max(0, this.owed - 1);
        const resumed = this.cuts > 0;
        const other = this.stream !== "" && this.stream !== frame.stream;
        if (other) this.seq = undefined;
        this.stream = frame.stream ?? "";
        this.cuts = 0;
        this.watch.state("live");
        if (resumed && frame.replayed === false) this.watch.missed();
        else if (!frame.replayed) this.watch.subscribed(frame.channels ?? []);
        break;
      }
      case "pong":
        if (frame.time_ms) this.watch.pong(this.pinged, Date.now(), frame.time_ms);
        break;
      case "error":
        this.owed = Math.max(0, this.owed - 1); // assume that it answers a subscription
        console.warn(`live feed: ${frame.code}: ${frame.msg}`);
        if (frame.code === "bad_channels") this.watch.refused(frame.msg ?? "");
        break;
    }
  }
}

/** Sets a bar's full interval, which includes the session, from its channel. */
function ofBars(channel: string, bar: LiveCandle): LiveCandle {
  return { ...bar, timeframe: channel.slice("bars:".length, -bar.symbol.length - 1) };
}

/** Dispatches a channel's message to the matching callback. */
export function give(
  watch: Pick<Watch, "tick" | "candle" | "pattern"> & Partial<Watch>,
  channel: string,
  data: unknown,
  about: { late?: boolean; received?: number | null },
  known = false,
): void {
  if (channel.startsWith("ticks:")) watch.tick(data as Tick, about.late ?? false, known);
  else if (channel.startsWith("candles:")) watch.candle(data as LiveCandle, about.received ?? null, known);
  else if (channel.startsWith("bars:")) watch.candle(ofBars(channel, data as LiveCandle), about.received ?? null, known);
  else if (channel.startsWith("busts:")) watch.bust?.(data as Bust);
  else if (channel.startsWith("patterns:")) watch.pattern(data as Pattern);
  else if (channel.startsWith("alerts:")) watch.alert?.(data as Alert, known);
}
