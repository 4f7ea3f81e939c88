"""Made-up markets: ticks as columns, and as lines of input."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.market.shards import DEFAULT_SHARDS
from shared.wire.instrument_table import Entries, Entry
from shared.wire.ticks import INTEGER_ID, Ticks

Numbers = NDArray[np.int64]
Event = tuple[str, Ticks]
"""The id of an event, and its ticks."""


def ticks(
    source: str,
    entries: Entries,
    times_us: Numbers,
    price: Numbers,
    size: Numbers,
    ids: Numbers,
    *,
    received_us: Numbers,
    sequence: Numbers,
    chance: np.random.Generator,
) -> Ticks:
    """Return trades with integer ids and random sides."""
    n = len(times_us)
    return Ticks(
        source,
        entries,
        times_us,
        price,
        size,
        chance.integers(1, 3, n).astype(np.uint8),
        np.full(n, INTEGER_ID, dtype=np.uint8),
        ids,
        None,
        received_us,
        sequence,
        np.zeros(n, dtype=np.uint8),
    )


def entries(names: Sequence[str], which: Numbers, counts: Numbers) -> Entries:
    """Return the table of these instruments, with two decimals in prices and three in sizes."""
    pairs = zip(which.tolist(), counts.tolist(), strict=True)
    return Entries.of(*(Entry(names[n], 2, 3, count) for n, count in pairs))


def events(
    width: int, begin_us: int, count: int, size: int, event_us: int, *, share: float = 0
) -> Iterator[Event]:
    """Yield events of a random walk of each instrument, ids and sequences counting up.

    `size` ticks an event, one event in each `event_us` microseconds from `begin_us` on. One
    instrument, number 7, has that `share` of the ticks and its part of the others.
    """
    source = np.random.default_rng(width)
    price = source.integers(1_000, 5_000_000, width)
    next_id = source.integers(1_000, 50_000_000, width)
    names = [f"SYM{n:05d}-USD" for n in range(width)]
    for number in range(count):
        who = np.where(source.random(size) < share, 7, source.integers(0, width, size))
        when = begin_us + number * event_us + np.sort(source.integers(0, event_us, size))
        order = np.lexsort((when, who))
        who, when = who[order], when[order]
        held, counts = np.unique(who, return_counts=True)
        place = np.arange(size) - np.repeat(np.cumsum(counts) - counts, counts)
        ids = next_id[who] + place
        next_id[held] += counts
        price[held] += source.integers(-3, 4, len(held))
        yield (
            f"udp-listener-5f7d8c9b6-abcde-1700000000-{number}/normalize/0",
            ticks(
                "udp-listener-5f7d8c9b6-abcde-1700000000",
                entries(names, held, counts),
                when,
                price[who] + source.integers(-2, 3, size),
                np.minimum(source.lognormal(4, 1.6, size).astype(np.int64) + 1, 10**6),
                ids,
                received_us=when + source.integers(2_000, 60_000, size),
                sequence=(number << 16)
                + np.argsort(np.argsort(when, kind="stable"), kind="stable"),
                chance=source,
            ).sharded(DEFAULT_SHARDS),
        )


def lines(
    names: Sequence[str], which: Numbers, times_ms: Numbers, chance: np.random.Generator
) -> list[str]:
    """Return a line of input for each trade: a random walk of each instrument, ids counting up."""
    count = len(which)
    price = chance.integers(1_000, 9_000_000, len(names)).tolist()
    steps, sizes = chance.integers(-3, 4, count), chance.integers(1, 10**6, count)
    written = []
    columns = (which.tolist(), steps.tolist(), sizes.tolist(), times_ms.tolist())
    for n, (i, step, size, ms) in enumerate(zip(*columns, strict=True), 1):
        price[i] = max(1, price[i] + step)
        side = "buy" if n & 1 else "sell"
        written.append(f"{names[i]},{price[i] / 100:.2f},{size / 1000:.3f},{ms},{side},{n}")
    return written


def recent_lines(count: int, seed: int = 1) -> list[str]:
    """Return lines of twenty instruments over the last two minutes.

    Each seed has instruments of its own: of the same, those of a second load would be late.
    """
    chance = np.random.default_rng(seed)
    start_ms = time.time_ns() // 1_000_000 - 120_000
    times_ms = start_ms + np.arange(count) * 120_000 // count
    names = [f"S{seed}N{i:02d}-USD" for i in range(20)]
    return lines(names, chance.integers(0, 20, count), times_ms, chance)


def datagrams(lines_: Sequence[str], at_once: int) -> list[bytes]:
    """Return the lines, so many in a datagram."""
    return ["\n".join(lines_[n : n + at_once]).encode() for n in range(0, len(lines_), at_once)]
