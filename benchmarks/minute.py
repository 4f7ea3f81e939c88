"""detect-pattern at a minute's end: a closed candle of each of WIDTH series over real stores.

From the environment: WIDTH (instruments) and MINUTES that are measured. The series have as many
candles as the state keeps. Redis and Postgres are those of an instance of its own; CPU seconds of
this process, and how long until what was found could be published.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmarks._measure import number
from benchmarks._platform import Platform, running
from benchmarks.patterns import market
from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.detection import Detection, kind_of
from functions.detect_pattern.evaluate import EvaluationRules
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Store
from shared.adapter.event import Event
from shared.analysis.anomalies import AnomalySettings
from shared.analysis.candle_series import Candles
from shared.analysis.detectors.settings import DetectorSettings
from shared.market.blocks import CLOSED, PRICED, Records
from shared.market.shards import DEFAULT_SHARDS
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle_columns import CandleColumns

WIDTH = number("WIDTH", 5_000)
MINUTES = number("MINUTES", 5)
MINUTE_US: Final = 60_000_000
BEGIN_US: Final = 1_790_000_000_000_000 // MINUTE_US * MINUTE_US
CANDLES_AN_EVENT: Final = 2_000


def candles_of(walks: Sequence[Candles], minutes: slice) -> CandleColumns:
    """Return the closed candles of some minutes, instrument by instrument."""
    start_us, *prices, volume = (
        np.concatenate([getattr(walk, name)[minutes] for walk in walks])
        for name in ("start_us", "open", "high", "low", "close", "volume")
    )
    start_us = start_us + BEGIN_US
    size = volume.astype(np.uint64)
    records = Records.empty(len(start_us))
    data = records.data
    data["prices"] = np.rint(np.stack(prices, axis=1) * 100)
    data["low"] = np.stack([size, size * 100, size // 2, size - size // 2], axis=1)
    data["count"], data["price_scale"] = 60, 2
    data["flags"], data["revision"] = CLOSED | PRICED, start_us + MINUTE_US
    data["first"][:, 0], data["last"][:, 0] = start_us, start_us + MINUTE_US - 1
    names = np.repeat([f"SYM{n:05d}" for n in range(len(walks))], len(start_us) // len(walks))
    return CandleColumns("1m", names.tolist(), start_us, records)


def candle_events(columns: CandleColumns) -> Iterator[Event]:
    """Yield candles as candle-aggregate publishes them."""
    for first in range(0, len(columns), CANDLES_AN_EVENT):
        some = columns.at(np.arange(first, min(first + CANDLES_AN_EVENT, len(columns))))
        name = f"bench/{columns.start_us[0]}/{first}"
        yield Event(name, events.CANDLES, "bench", {}, some.encode())


def take(handler: DetectPattern, columns: CandleColumns) -> int:
    """Evaluate candles; return how many events of patterns that makes."""
    found = 0
    for event in candle_events(columns):
        outcome = handler(event)
        found += len(outcome.emit)
        if outcome.after_emit is not None:
            outcome.after_emit()
    return found


def stage(platform: Platform) -> DetectPattern:
    """Return detect-pattern's handler as its defaults make it."""
    detection = Detection(DetectorSettings(), AnomalySettings())
    storage = Storage(Postgres(platform.environment["DATABASE_URL"], size=4))
    rules = EvaluationRules(detection, kind_of, detection.lookback)
    store = Store(platform.redis(), DEFAULT_SHARDS)
    return DetectPattern(Steps(storage, rules), store, Delivery(storage, frozenset()))


def run() -> None:
    """Fill the series, then print what each further minute costs."""
    with running("--functions", "none") as platform:
        handler = stage(platform)
        keep = handler.steps.rules.keep
        walks = [market(keep + MINUTES, seed) for seed in range(WIDTH)]
        take(handler, candles_of(walks, slice(keep)))
        used = platform.redis_bytes()
        print(f"Redis: {used / WIDTH:,.0f} bytes a series of {keep} candles")
        for minute in range(keep, keep + MINUTES):
            columns = candles_of(walks, slice(minute, minute + 1))
            begun, cpu = time.perf_counter(), time.process_time()
            found = take(handler, columns)
            print(
                f"{WIDTH:,} closed candles: {time.process_time() - cpu:.2f} s of CPU,"
                f" {time.perf_counter() - begun:.2f} s, {found} events of patterns",
                flush=True,
            )
