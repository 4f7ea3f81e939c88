"""detect-pattern at a minute's end: a closed candle of each of WIDTH series over real stores.

From the environment: WIDTH (instruments) and MINUTES that are measured. The series have as many
candles as the state keeps. Redis and Postgres are those of an instance of its own; CPU seconds of
this process, and how long until what was found could be published.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._measure import number
from benchmarks._platform import Platform, running
from functions.detect_pattern.deliver import Delivery
from functions.detect_pattern.detection import Detection, kind_of
from functions.detect_pattern.evaluate import EvaluationRules
from functions.detect_pattern.handler import DetectPattern
from functions.detect_pattern.step import Steps
from functions.detect_pattern.storage import Storage
from functions.detect_pattern.store import Store
from shared.adapter.event import Event
from shared.analysis.anomalies import AnomalySettings
from shared.analysis.detectors.settings import DetectorSettings
from shared.market.blocks import CLOSED, PRICED, Records
from shared.market.shards import DEFAULT_SHARDS
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle_columns import CandleColumns, joined

WIDTH = number("WIDTH", 5_000)
MINUTES = number("MINUTES", 5)
MINUTE_US: Final = 60_000_000
CANDLES_AN_EVENT: Final = 2_000


class Market:
    """A random walk of each instrument in ticks of a cent, minute by minute."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(1)
        self._close = self._chance.integers(1_000, 9_000_000, WIDTH)
        self._start_us = 1_790_000_000_000_000 // MINUTE_US * MINUTE_US
        self._names = [f"SYM{n:05d}" for n in range(WIDTH)]

    def minute(self) -> CandleColumns:
        """Return the next closed candle of each."""
        open_ = self._close
        close = np.maximum(10, open_ + self._move())
        ends = np.maximum(open_, close), np.minimum(open_, close)
        high, low = ends[0] + abs(self._move()), np.maximum(1, ends[1] - abs(self._move()))
        self._close, self._start_us = close, self._start_us + MINUTE_US
        records = Records.empty(WIDTH)
        data = records.data
        data["prices"] = np.stack([open_, high, low, close], axis=1)
        bought, sold = self._chance.integers(1, 10**6, (2, WIDTH)).astype(np.uint64)
        data["low"] = np.stack([bought + sold, (bought + sold) * 100, bought, sold], axis=1)
        data["count"], data["price_scale"], data["size_scale"] = 60, 2, 3
        data["flags"], data["revision"] = CLOSED | PRICED, self._start_us + MINUTE_US
        data["first"][:, 0] = self._start_us
        data["last"][:, 0] = self._start_us + MINUTE_US - 1
        return CandleColumns("1m", self._names, np.full(WIDTH, self._start_us), records)

    def _move(self) -> NDArray[np.int64]:
        return np.rint(self._chance.normal(0, 0.002, WIDTH) * self._close).astype(np.int64)


def candle_events(columns: CandleColumns) -> Iterator[Event]:
    """Yield candles as candle-aggregate publishes them."""
    for first in range(0, len(columns), CANDLES_AN_EVENT):
        some = columns.at(np.arange(first, min(first + CANDLES_AN_EVENT, len(columns))))
        name = f"bench/{columns.start_us[0]}/{first}"
        yield Event(name, events.CANDLES, "bench", {}, some.encode())


def history(market: Market, minutes: int) -> CandleColumns:
    """Return the next minutes, instrument by instrument."""
    (whole,) = joined([market.minute() for _ in range(minutes)])
    return whole.at(np.argsort(np.array(whole.names), kind="stable"))


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
        handler, market = stage(platform), Market()
        take(handler, history(market, handler.steps.rules.keep))
        used = platform.redis_bytes()
        print(f"Redis: {used / WIDTH:,.0f} bytes a series of {handler.steps.rules.keep} candles")
        for _ in range(MINUTES):
            columns = market.minute()
            begun, cpu = time.perf_counter(), time.process_time()
            found = take(handler, columns)
            print(
                f"{WIDTH:,} closed candles: {time.process_time() - cpu:.2f} s of CPU,"
                f" {time.perf_counter() - begun:.2f} s, {found} events of patterns",
                flush=True,
            )
