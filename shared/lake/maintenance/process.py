"""Maintenance rounds, each in a short-lived process, so that its memory is returned.

What reads and writes Parquet takes more memory than all else that persist does; it is loaded for
the length of a round and gone with it.
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Counter

from shared.errors import TransientError
from shared.lake.maintenance.failures import BEGUN, BUSY, record
from shared.lake.maintenance.schedule import ticks_are_due
from shared.lake.maintenance.settings import Terms
from shared.runtime import metrics
from shared.stores.postgres import Postgres

log = logging.getLogger(__name__)

_EACH_S: Final = 300
_SWEEP_EACH_S: Final = 3600
_LIMIT_S: Final = 300
_MOST_DOUBLINGS: Final = 4
"""After a round that was killed the next one may take twice as long: a busy machine ends it too."""

_COUNTERS: Final[tuple[Counter, ...]] = (
    metrics.LAKE_TICKS,
    metrics.LAKE_COMPACTED,
    metrics.LAKE_DROPPED,
    metrics.LAKE_DIFFERS,
)


def counts() -> str:
    """Return the counts of this process as JSON: [counter, labels, value] each."""
    return json.dumps(
        [
            [number, sample.labels, sample.value]
            for number, counter in enumerate(_COUNTERS)
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        ]
    )


def add_counts(text: str) -> None:
    """Add the counts of another process to those of this one, whose metrics are scraped."""
    for number, labels, value in json.loads(text):
        counter = _COUNTERS[number]
        (counter.labels(**labels) if labels else counter).inc(value)


@dataclass(slots=True)
class Rounds:
    """Starts a round when one is due; one at a time, since it takes a second of a processor.

    As soon as ticks are to be copied, and each five minutes for other work.
    """

    postgres: Postgres
    terms: Terms
    ask_each_s: float = 5.0
    _busy: threading.Lock = field(default_factory=threading.Lock)
    _process: subprocess.Popen[bytes] | None = None
    _started: float = -math.inf
    _asked: float = -math.inf
    _swept: float = -math.inf
    _failures: int = 0
    _killed: int = 0
    _sweeps: bool = False

    def __post_init__(self) -> None:
        """End what still runs with this process, also where the system does not."""
        atexit.register(self.stop)

    def __call__(self) -> None:
        """Look after the round that runs, and start one that is due; called each second.

        Never waits for a round.
        """
        if not self._busy.acquire(blocking=False):
            return
        try:
            if self._process is not None:
                if self._process.poll() is None:
                    return
                ended, self._process = self._process, None
                self._ended(ended)
            if self._is_due(time.monotonic()):
                self._start(time.monotonic())
        finally:
            self._busy.release()

    def stop(self) -> None:
        """End the round that runs, at once: it loses nothing by that."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _is_due(self, now: float) -> bool:
        if now - self._started >= min(self.terms.state_s or _EACH_S, _EACH_S):
            return True
        # What fails is tried less and less often.
        if now - self._asked < self.ask_each_s * 2 ** min(self._failures, 4):
            return False
        self._asked = now
        try:
            with self.postgres.connection() as connection:
                return ticks_are_due(connection, self.terms.snapshot_s)
        except TransientError as error:
            log.warning("the lake waits: %s", error)
            return False

    def _start(self, now: float) -> None:
        limit_s = _LIMIT_S << min(self._killed, _MOST_DOUBLINGS)
        command = [sys.executable, "-m", "shared.lake", str(os.getpid()), str(limit_s)]
        self._sweeps = now - self._swept >= _SWEEP_EACH_S
        if self._sweeps:
            self._swept = now
            command.append("--sweep")
        self._started = now
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            )
        except OSError as error:
            log.error("no round of the lake can be started: %s", error)

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        output, _ = process.communicate()
        results = {"start": ""}
        for line in output.decode().splitlines():
            if line.startswith('["'):
                work, result = json.loads(line)
                results[work] = result
            else:
                add_counts(line)
        if process.returncode:
            seconds = time.monotonic() - self._started
            status = f"ended with {process.returncode} after {seconds:.0f} s"
            log.error("a round of the lake %s", status)
            at = [work for work, result in results.items() if result == BEGUN]
            results |= dict.fromkeys(at or ["start"], f"its process {status}")
        self._killed = self._killed + 1 if process.returncode == -signal.SIGALRM else 0
        self._failures = self._failures + 1 if {*results.values()} - {"", BUSY} else 0
        if self._failures and self._sweeps:
            self._swept = -math.inf
        try:
            with self.postgres.connection() as connection:
                record(connection, results)
        except TransientError as error:
            log.warning("what fails of the lake is not recorded: %s", error)
