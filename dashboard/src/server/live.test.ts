import { createServer } from "node:http";
import { createHash } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Live, type State, type LiveHandlers } from "./live";
import type { Tick } from "../model/messages";

/** A minimal WebSocket server: text frames below 64 KiB, no extensions. */
class Server {
  readonly requests: Record<string, unknown>[] = [];
  private socket: Socket | undefined;
  private readonly http = createServer();

  async listen(port = 0): Promise<number> {
    this.http.on("upgrade", ({ headers }, socket) => {
      const accept = createHash("sha1")
        .update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest("base64");
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: kandle.v1.json\r\n\r\n`);
      socket.on("data", (data: Buffer) => this.take(data));
      socket.on("error", () => undefined);
      this.socket = socket as Socket;
    });
    await new Promise<void>((done) => this.http.listen(port, "127.0.0.1", done));
    return (this.http.address() as AddressInfo).port;
  }

  say(frame: object): void {
    const text = Buffer.from(JSON.stringify(frame));
    const head = text.length < 126 ? Buffer.from([0x81, text.length]) : Buffer.from([0x81, 126, text.length >> 8, text.length & 255]);
    this.socket?.write(Buffer.concat([head, text]));
  }

  cut(): void {
    this.socket?.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((done) => this.http.close(done));
  }

  /** Returns the next request other than a ping. */
  async nextRequest(): Promise<Record<string, unknown>> {
    for (;;) {
      const request = this.requests.shift();
      if (request && request.op !== "ping") return request;
      await new Promise((done) => setTimeout(done, 5));
    }
  }

  private take(data: Buffer): void {
    for (let at = 0; at + 6 <= data.length; ) {
      const opcode = data[at]! & 15;
      let length = data[at + 1]! & 127;
      let mask = at + 2;
      if (length === 126) [length, mask] = [data.readUInt16BE(at + 2), at + 4];
      const text = data.subarray(mask + 4, mask + 4 + length).map((byte, n) => byte ^ data[mask + (n % 4)]!);
      if (opcode === 8) return this.cut();
      if (opcode === 1) this.requests.push(JSON.parse(Buffer.from(text).toString()) as Record<string, unknown>);
      at = mask + 4 + length;
    }
  }
}

const tick = (price: string): Partial<Tick> => ({ symbol: "A", price });

describe.skipIf(typeof WebSocket === "undefined")("the live feed after a disconnect", () => {
  let server: Server;
  let live: Live;
  let prices: string[];
  let states: State[];
  let missed: number;
  let subscribed: string[][];
  let check: () => void;

  beforeEach(async () => {
    server = new Server();
    const port = await server.listen();
    // Local to each test: the previous test's client still reconnects and calls back.
    const [ownPrices, ownStates, ownChannels]: [string[], State[], string[][]] = [[], [], []];
    [prices, states, missed, subscribed] = [ownPrices, ownStates, 0, ownChannels];
    const watch: LiveHandlers = {
      tick: ({ price }) => ownPrices.push(price),
      candle: () => undefined,
      pattern: () => undefined,
      alert: () => undefined,
      subscribed: (channels) => ownChannels.push(channels),
      missed: () => { missed += 1; },
      state: (state) => ownStates.push(state),
      pong: () => undefined, refused: () => undefined,
    };
    Object.assign(globalThis, {
      window: { setTimeout, clearTimeout, setInterval: (act: () => void) => void (check = act), addEventListener: () => undefined },
      localStorage: { getItem: () => null }, // no token
    });
    live = new Live(`ws://127.0.0.1:${port}/ws`, watch);
    live.subscribe("ticks:A");
    live.start();
    await server.nextRequest();
    server.say({ type: "subscribed", channels: ["ticks:A"], seq: 4, stream: "s1", replayed: false });
    server.say({ type: "snapshot", seq: 4, items: [] });
    server.say({ type: "update", channel: "ticks:A", seq: 7, data: tick("7") });
    await until(() => prices.length === 1);
  });

  afterEach(() => server.close());

  it("resumes after the last received message", async () => {
    server.cut();
    expect(await server.nextRequest()).toMatchObject({ op: "subscribe", channels: ["ticks:A"], from_seq: 7, stream: "s1" });
    server.say({ type: "subscribed", channels: ["ticks:A"], seq: 7, stream: "s1", replayed: true });
    server.say({ type: "update", channel: "ticks:A", seq: 8, data: tick("8") });
    await until(() => prices.length === 2);
    expect(prices).toEqual(["7", "8"]);
    expect(missed).toBe(0);
    expect(states).toContain("reconnecting");
    expect(states.at(-1)).toBe("live");
  });

  it("reports new subscriptions, but not if all messages were replayed", async () => {
    expect(subscribed).toEqual([["ticks:A"]]);
    live.subscribe("candles:1m:A");
    await server.nextRequest();
    expect(subscribed).toHaveLength(1);
    server.say({ type: "subscribed", channels: ["candles:1m:A"], seq: 7, stream: "s1", replayed: false });
    await until(() => subscribed.length === 2);
    expect(subscribed[1]).toEqual(["candles:1m:A"]);
    server.cut();
    await server.nextRequest();
    server.say({ type: "subscribed", channels: ["ticks:A", "candles:1m:A"], seq: 7, stream: "s1", replayed: true });
    await until(() => states.at(-1) === "live");
    expect(subscribed).toHaveLength(2);
  });

  it("resumes all channels from where the connection broke if only some were answered", async () => {
    live.subscribe("bars:tick:2:A");
    await server.nextRequest();
    server.say({ type: "subscribed", channels: ["bars:tick:2:A"], seq: 7, stream: "s1", replayed: false });
    server.say({ type: "snapshot", seq: 7, items: [] });
    server.cut();
    expect(await server.nextRequest()).toMatchObject({ channels: ["ticks:A"], from_seq: 7 });
    expect(await server.nextRequest()).toMatchObject({ channels: ["bars:tick:2:A"], from_seq: 7 });
    server.say({ type: "subscribed", channels: ["ticks:A"], seq: 7, stream: "s1", replayed: true });
    server.say({ type: "update", channel: "ticks:A", seq: 9, data: tick("9") });
    await until(() => prices.length === 2);
    server.cut();
    expect(await server.nextRequest()).toMatchObject({ channels: ["ticks:A"], from_seq: 7 });
    expect(await server.nextRequest()).toMatchObject({ channels: ["bars:tick:2:A"], from_seq: 7 });
    for (const channel of ["ticks:A", "bars:tick:2:A"]) server.say({ type: "subscribed", channels: [channel], seq: 7, stream: "s1", replayed: true });
    server.say({ type: "update", channel: "ticks:A", seq: 8, data: tick("8") });
    await until(() => prices.length === 3);
    server.cut();
    expect(await server.nextRequest()).toMatchObject({ from_seq: 8 });
  });

  it("subscribes again if the server refused a request for its rate", async () => {
    live.subscribe("candles:1m:A");
    await server.nextRequest();
    server.say({ type: "rate_limit", retry_ms: 5 });
    expect(await server.nextRequest()).toMatchObject({ op: "subscribe", channels: ["ticks:A", "candles:1m:A"], from_seq: 7 });
  });

  it("keeps a quiet connection while the page is hidden, whose timers run once a minute, and leaves one that does not answer", async () => {
    const pings = () => server.requests.filter(({ op }) => op === "ping").length;
    await until(() => pings() === 1);
    server.say({ type: "pong", time_ms: 1 });
    server.say({ type: "update", channel: "ticks:A", seq: 8, data: tick("8") });
    await until(() => prices.length === 2);
    const now = vi.spyOn(Date, "now");
    const afterSeconds = (seconds: number): void => {
      const next = Date.now() + seconds * 1000;
      now.mockReturnValue(next);
      check();
    };
    afterSeconds(60);
    await until(() => pings() === 2);
    expect(states.at(-1)).toBe("live");
    afterSeconds(2);
    expect(states.at(-1)).toBe("live");
    afterSeconds(6);
    expect(states.at(-1)).toBe("reconnecting");
    now.mockRestore();
  });

  it("reports missed messages", async () => {
    server.cut();
    await server.nextRequest();
    server.say({ type: "subscribed", channels: ["ticks:A"], seq: 2, stream: "s2", replayed: false });
    server.say({ type: "snapshot", seq: 2, items: [] });
    await until(() => missed === 1);
    server.cut();
    expect(await server.nextRequest()).toMatchObject({ from_seq: 2, stream: "s2" });
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (let n = 0; !holds(); n += 1) {
    if (n > 1000) throw new Error("timed out");
    await new Promise((done) => setTimeout(done, 5));
  }
}
