"""The whole chain, UDP to Postgres and to candles, every server on this machine.

Beside it, in the same run: one event per tick through the same chain, and the time from a datagram
to a candle that can be queried, at a moderate rate.
From the environment: TICKS, RATE (ticks a second) and REPLICAS (of candle-aggregate).
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks._market import datagrams, recent_lines
from benchmarks._measure import number, p50_p99, wait
from benchmarks._platform import Platform, running
from benchmarks._sender import Sender

TICKS = number("TICKS", 1_000_000)
RATE = number("RATE", 150_000)
REPLICAS = number("REPLICAS", 1)
SINGLE_EVENTS = 3_000
PROBE_RATE = 20_000
PROBES = 200
PATIENCE_S = 180.0


def bulk(platform: Platform, lines_a_datagram: int) -> None:
    """Send TICKS at RATE; print when all were rows, and when all were in candles."""
    stored_before, traded_before = platform.stored(), platform.traded()
    cpu_before, stats_before = platform.cpu(), platform.stats()
    lines = recent_lines(TICKS, seed=100 + lines_a_datagram)
    load = Sender(platform.udp, datagrams(lines, lines_a_datagram), lines_a_datagram)
    sender_s = time.process_time()
    started = time.perf_counter()
    sending = load.send(RATE)
    sender_s = time.process_time() - sender_s
    stored_s = candles_s = 0.0
    stored = traded = 0
    while time.perf_counter() - started < PATIENCE_S and not (stored_s and candles_s):
        # Candles are asked for once all rows are there: twenty requests each time would count.
        if not stored_s:
            stored = platform.stored() - stored_before
            stored_s = time.perf_counter() - started if stored >= TICKS else 0.0
        if stored_s:
            traded = platform.traded() - traded_before
            candles_s = time.perf_counter() - started if traded >= TICKS else 0.0
        time.sleep(0.1)
    if not stored_s:
        traded = platform.traded() - traded_before
    print(
        f"{TICKS:,} ticks, {lines_a_datagram} a datagram, sent at {TICKS / sending / 1e3:.0f} k/s"
    )
    for what, seconds, count in (("rows", stored_s, stored), ("candles", candles_s, traded)):
        if seconds:
            print(f"  all in {what} after {seconds:.1f} s: {TICKS / seconds / 1e3:.0f} k ticks/s")
        else:
            print(f"  in {what}: {count:,}; lost {TICKS - count:,}")
    cpu = platform.cpu()
    used = {name: cpu[name] - cpu_before[name] for name in cpu}
    for name, seconds in sorted(used.items(), key=lambda item: -item[1])[:10]:
        micros, memory = seconds / TICKS * 1e6, platform.rss_mib(name)
        print(f"    {name:<17} {micros:6.2f} us CPU a tick  rss {memory:4.0f} MiB")
    total = (sender_s + sum(used.values())) / TICKS * 1e6
    print(f"    sender {sender_s / TICKS * 1e6:.2f}, all processes {total:.2f} us CPU a tick")
    carried(stats_before, platform.stats(), TICKS)


def carried(before: dict[str, Any], now: dict[str, Any], ticks: int) -> None:
    """Print what each broker took in, and how often it gave each byte out.

    Offered: the stream's deliveries to all triggers, each of which the real broker posts to its
    filter. To subscribers: what passed the filters. Redeliveries count in both.
    """

    def more(kind: str, name: str, count: str) -> int:
        return int(now[kind][name][count] - before[kind][name][count])

    for broker in now["brokers"]:
        triggers = [name for name, each in now["triggers"].items() if each["broker"] == broker]
        events, taken = more("brokers", broker, "accepted"), more("brokers", broker, "bytes")
        offered, sent = (
            sum(more("triggers", name, count) for name in triggers) / max(taken, 1)
            for count in ("offered_bytes", "sent_bytes")
        )
        again = sum(more("triggers", name, "retried") for name in triggers)
        print(
            f"    broker {broker:<14} {events:6,} events  {taken / ticks:5.1f} bytes a tick;"
            f" of each byte {offered:.2f} offered to triggers, {sent:.2f} to subscribers;"
            f" {again} deliveries again"
        )


def one_event_per_tick(platform: Platform) -> float:
    """Post each tick in an event of its own, sixteen at a time; return ticks a second to rows."""
    before = platform.stored()
    lines = recent_lines(SINGLE_EVENTS, seed=3)
    url = platform.environment["INGEST_URL"]
    started = time.perf_counter()
    with (
        httpx.Client(limits=httpx.Limits(max_connections=16)) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        list(pool.map(lambda line: client.post(url, content=line).raise_for_status(), lines))
    return SINGLE_EVENTS / wait(lambda: platform.stored() - before >= SINGLE_EVENTS, started)


def latency(platform: Platform) -> None:
    """Print the time from a datagram until the API's open candle holds it, under a steady load."""
    lines = recent_lines(int(PROBE_RATE * PROBES * 0.06), seed=5)
    waits = []
    with ThreadPoolExecutor(1) as pool, socket.socket(type=socket.SOCK_DGRAM) as sock:
        load = pool.submit(Sender(platform.udp, datagrams(lines, 20), 20).send, PROBE_RATE)
        for n in range(PROBES):
            if load.done():
                break
            sent = time.perf_counter()
            sock.sendto(f"PROBE,{n + 1},1,,,{n + 1}".encode(), platform.udp)
            while platform.trades("PROBE") <= n:
                if time.perf_counter() - sent > 30:
                    raise SystemExit("a probe did not arrive")
            waits.append((time.perf_counter() - sent) * 1000)
        load.result()
    p50, p99 = p50_p99(waits)
    print(
        f"datagram to queryable candle at {PROBE_RATE:,} ticks/s: p50"
        f" {p50:.0f} ms, p99 {p99:.0f} ms ({len(waits)} probes)"
    )


def run() -> None:
    """Print the figures."""
    with running("--replicas", f"candle-aggregate={REPLICAS}") as platform:
        bulk(platform, 20)
        bulk(platform, 1)
        single = one_event_per_tick(platform)
        print(f"one event per tick, sixteen at a time: {single:,.0f} ticks/s")
        latency(platform)
