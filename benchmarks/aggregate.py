"""candle-aggregate's steps over real Redis: cost a tick, by instruments and replicas.

The events of a second are shared out among the replicas, so that each has fewer, not smaller ones.
From the environment: INSTRUMENTS and SHARED (among so many replicas), lists; SECONDS of each.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.queues import Queue

import numpy as np
import psutil

from benchmarks import _market
from benchmarks._measure import p50_p99
from benchmarks._platform import running
from functions.candle_aggregate.engine import Engine
from functions.candle_aggregate.handler import wall_clock_us
from functions.candle_aggregate.rules import Rules
from functions.candle_aggregate.session import Session
from functions.candle_aggregate.steps.step import TickEvent
from functions.candle_aggregate.steps.store import Lease, Store
from shared.adapter.app import Outcome
from shared.market.shards import shards_of
from shared.market.timeframes import DEFAULT_LADDER, parse_ladder
from shared.runtime import metrics
from shared.stores.redis import connect
from shared.wire.instrument_table import Entries
from shared.wire.ticks import Ticks

TICKS_A_SECOND = 20_000
EVENTS_A_SECOND = 60
WARM = 20
"""Events that each replica applies before."""
INSTRUMENTS = os.environ.get("INSTRUMENTS", "20,1000,10000")
SHARED = os.environ.get("SHARED", "1,2,3")
SECONDS = int(os.environ.get("SECONDS", "8"))
RULES = Rules(parse_ladder(DEFAULT_LADDER), 2_000_000, 5_000_000, 600_000, unused_us=0)


class NoStorage:
    """States begin empty."""

    def is_trusted(self, lease: Lease) -> bool:
        """Tell whether there is one."""
        return bool(lease.lineage)

    def make(self, engine: Engine, lease: Lease) -> Outcome:
        """Begin one."""
        session = Session(engine.store, engine.rules, lease, engine.clock())
        session.clear()
        session.begin(secrets.token_hex(8))
        session.commit()
        return Outcome()

    def recorded(
        self, events: Sequence[TickEvent], began_us: Mapping[int, int], now_us: int
    ) -> Mapping[str, set[int]]:
        """None."""
        return {}

    def returning(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """None."""
        return {}


class Market:
    """Ticks of so many instruments, evenly, with ascending trade ids."""

    def __init__(self, instruments: int) -> None:
        names = np.array([f"S{n:05d}" for n in range(instruments)])
        shard = shards_of(names.tolist(), RULES.shards)
        order = np.lexsort((names, shard))
        self._names, self._shard = names[order], shard[order]
        self._chance = np.random.default_rng(1)

    def batch(self, number: int, count: int, now_us: int) -> Ticks:
        """Return one batch of all shards, received at a time. The ids ascend with its number."""
        pick = np.sort(self._chance.integers(0, len(self._names), count))
        places, counts = np.unique(pick, return_counts=True)
        ids = np.arange(number * count, (number + 1) * count)
        entries = Entries(
            tuple(self._names[places].tolist()),
            np.full(len(places), 2),
            np.full(len(places), 8),
            counts,
            (),
            np.bincount(self._shard[places], minlength=RULES.shards),
        )
        return _market.ticks(
            "bench",
            entries,
            now_us - count + np.arange(count),
            self._chance.integers(1_000, 9_000_000, count),
            self._chance.integers(1, 10**10, count),
            ids,
            received_us=np.full(count, now_us),
            sequence=ids,
            chance=self._chance,
        )


def _replica(
    url: str, name: str, instruments: int, nth: int, replicas: int, done: Queue[object]
) -> None:
    """Apply each nth of the market's events as one replica; report CPU (s), ticks, lags (s)."""
    engine = Engine(Store(connect(url), name), RULES, NoStorage(), wall_clock_us)
    market = Market(instruments)
    lags: list[float] = []
    count = TICKS_A_SECOND // EVENTS_A_SECOND
    warm, last = range(nth, WARM * replicas, replicas), SECONDS * EVENTS_A_SECOND + nth
    for n in warm:
        engine.apply([TickEvent(f"{name}/warm/{n}", market.batch(n, count, wall_clock_us()))])
    begun_cpu, begun = time.process_time(), time.monotonic()
    mine = range(nth, SECONDS * EVENTS_A_SECOND, replicas)
    for n in mine:
        time.sleep(max(0.0, begun + n / EVENTS_A_SECOND - time.monotonic()))
        batch = market.batch(warm.stop + n, count, wall_clock_us())
        event = TickEvent(f"{name}/{n}", batch)
        engine.submit(event).add_done_callback(_lag(begun + n / EVENTS_A_SECOND, lags))
    engine.apply(
        [TickEvent(f"{name}/last", market.batch(warm.stop + last, count, wall_clock_us()))]
    )
    cpu = time.process_time() - begun_cpu
    thrown = metrics.APPLY_CONFLICTS._value.get()
    engine.close()
    done.put((cpu, len(mine) * count, lags, thrown))


def _lag(due_s: float, lags: list[float]) -> Callable[[object], None]:
    """Return what notes how long after it was due an event was applied."""
    return lambda _: lags.append(time.monotonic() - due_s)


def run() -> None:
    """Print microseconds of Python and of Redis a tick, and how long a step took."""
    with running("--functions", "none") as here:
        url = here.environment["REDIS_URL"]
        server = next(p for name, p in here.processes.items() if "valkey" in name)
        print("instruments  replicas  Python us  Redis us  lag p50 ms  p99 ms  thrown away")
        for instruments in map(int, INSTRUMENTS.split(",")):
            for replicas in map(int, SHARED.split(",")):
                connect(url).flushall()
                _measure(url, server, instruments, replicas)


def _measure(url: str, server: psutil.Process, instruments: int, replicas: int) -> None:
    context = multiprocessing.get_context("spawn")
    done: Queue[tuple[float, int, list[float], float]] = context.Queue()
    workers = [
        context.Process(target=_replica, args=(url, f"r{n}", instruments, n, replicas, done))
        for n in range(replicas)
    ]
    before = sum(server.cpu_times()[:2])
    for worker in workers:
        worker.start()
    answers = [done.get() for _ in workers]
    for worker in workers:
        worker.join()
    after = sum(server.cpu_times()[:2])
    ticks = sum(answer[1] for answer in answers)
    p50, p99 = p50_p99([lag * 1e3 for answer in answers for lag in answer[2]])
    python = sum(answer[0] for answer in answers) / ticks * 1e6
    whole = ticks * (SECONDS + 1) / SECONDS
    print(
        f"{instruments:11d}  {replicas:8d}  {python:9.2f}  {(after - before) / whole * 1e6:8.2f}"
        f"  {p50:11.1f}  {p99:6.1f}"
        f"  {sum(answer[3] for answer in answers):11.0f}",
        flush=True,
    )
