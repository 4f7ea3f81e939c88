"""The stages without their stores: ticks a second of each step, beside a plain Python loop."""

from __future__ import annotations

import random
import time

import numpy as np

from benchmarks._rate import rate
from functions.persist.segments import segments
from shared.candles.partials import partials
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.lines import parse_lines
from shared.inputs.tickers import parse_tickers
from shared.market.blocks import Records, merge
from shared.market.shards import DEFAULT_SHARDS
from shared.runtime.memory import settle
from shared.schema.ticker_pb2 import TickerUpdate
from shared.wire.compression import compress, decompress
from shared.wire.raw_batch import FORMAT_CSV, FORMAT_TICKER, RawBatch
from shared.wire.ticks import Ticks

TICKS = 8_000
"""As many as a batch of the UDP listener holds at its default bounds."""

MINUTE_US = 60_000_000


def market_lines(count: int, seed: int = 1) -> list[str]:
    """Lines of twenty instruments over the last two minutes, with sides and trade ids.

    Each seed has instruments of its own: of the same, those of a second load would be late.
    """
    source = random.Random(seed)
    price = [source.randint(1_000, 9_000_000) for _ in range(20)]
    start_ms = time.time_ns() // 1_000_000 - 120_000
    lines = []
    for n in range(count):
        i = source.randrange(20)
        price[i] = max(1, price[i] + source.randint(-3, 3))
        size = source.randint(1, 10**6)
        side = source.choice(["buy", "sell"])
        time_ms = start_ms + n * 120_000 // count
        lines.append(
            f"S{seed}N{i:02d}-USD,{price[i] / 100:.2f},{size / 1000:.3f},{time_ms},{side},{n + 1}"
        )
    return lines


def raw_batch(lines: list[str], lines_a_datagram: int = 20) -> RawBatch:
    """Batch the lines as a listener would."""
    payloads = [
        "\n".join(lines[i : i + lines_a_datagram]).encode()
        for i in range(0, len(lines), lines_a_datagram)
    ]
    now_us = time.time_ns() // 1000
    return RawBatch(
        FORMAT_CSV,
        "udp-bench",
        0,
        b"".join(payloads),
        np.array([len(p) for p in payloads], dtype=np.int64),
        np.full(len(payloads), now_us, dtype=np.int64),
    )


def ticker_batch(lines: list[str]) -> RawBatch:
    """Batch the same ticks as TickerUpdates, one a datagram."""
    payloads = []
    for line in lines:
        symbol, price, size, time_ms, _, _ = line.split(",")
        update = TickerUpdate(symbol=symbol, price=float(price), timestamp=int(time_ms), size=size)
        payloads.append(update.SerializeToString())
    return RawBatch(
        FORMAT_TICKER,
        "udp-bench",
        0,
        b"".join(payloads),
        np.array([len(p) for p in payloads], dtype=np.int64),
        np.full(len(payloads), time.time_ns() // 1000, dtype=np.int64),
    )


def plain_loop(lines: list[str]) -> dict[tuple[str, int], list[float]]:
    """Do what one writes first: split, float, a dict of candles; neither exact nor in order."""
    candles: dict[tuple[str, int], list[float]] = {}
    for line in lines:
        symbol, price_text, size_text, time_text, _, _ = line.split(",")
        price, size, minute = float(price_text), float(size_text), int(time_text) // 60_000
        candle = candles.get((symbol, minute))
        if candle is None:
            candles[symbol, minute] = [price, price, price, price, size]
        else:
            candle[1] = max(candle[1], price)
            candle[2] = min(candle[2], price)
            candle[3] = price
            candle[4] += size
    return candles


def run() -> None:
    """Print the table."""
    settle()
    lines = market_lines(TICKS)
    batch = raw_batch(lines)
    rows, rejected, *_ = parse_lines(batch)
    assert len(rows) == TICKS
    assert not rejected
    updates = ticker_batch(lines)
    assert len(parse_tickers(updates)[0]) == TICKS
    rule = ClockRule(60_000_000)
    ticks = assemble(batch, rows, rule, DEFAULT_SHARDS).ticks
    body = compress(ticks.encode())
    raw = compress(batch.encode())
    records = partials(ticks, MINUTE_US).records
    blobs = records.encode()
    measured = [
        ("plain Python loop: split, float, dict", rate(lambda: plain_loop(lines), TICKS)),
        ("RawBatch decode", rate(lambda: RawBatch.decode(decompress(raw)), TICKS)),
        ("parse lines", rate(lambda: parse_lines(batch), TICKS)),
        ("parse TickerUpdates", rate(lambda: parse_tickers(updates), TICKS)),
        ("order and scale", rate(lambda: assemble(batch, rows, rule, DEFAULT_SHARDS), TICKS)),
        ("TickBatch encode and compress", rate(lambda: compress(ticks.encode()), TICKS)),
        ("TickBatch decode", rate(lambda: Ticks.decode(decompress(body)), TICKS)),
        ("kernel: base candles", rate(lambda: partials(ticks, MINUTE_US), TICKS)),
        ("segments for Postgres", rate(lambda: list(segments([("e", ticks)])), TICKS)),
    ]  # fmt: skip
    loop = measured[0][1]
    for name, speed in measured:
        print(f"{name:<40} {speed / 1e6:8.2f} M ticks/s  {speed / loop:6.2f} x the plain loop")
    merges = rate(lambda: merge(Records.decode(blobs), records).encode(), len(blobs))
    print(f"{'candle records decode, merge, encode':<40} {merges / 1e3:8.1f} k candles/s")
    print(f"{'bytes a tick: raw event':<40} {len(raw) / TICKS:8.1f}")
    print(f"{'bytes a tick: tick event':<40} {len(body) / TICKS:8.1f}")
