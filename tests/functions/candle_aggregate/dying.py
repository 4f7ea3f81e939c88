"""A process of candle-aggregate that is killed at a given point: SIGKILL, nothing is cleaned up.

Run by test_crashes.py, with the work pickled on standard input. What it emits before it dies is
appended to a file, as the broker would keep it.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from shared.adapter.app import Outcome
from tests.functions.candle_aggregate.truth import Row
from tests.functions.candle_aggregate.world import FragileStore, World


@dataclass
class Work:
    """What to do, and where to die: before the n-th write to Redis, or at a named point."""

    redis_url: str
    database: str
    outbox: str
    now_us: int
    sent: dict[str, list[Row]] = field(default_factory=dict)
    apply: str = ""
    die_before_write: int | None = None
    die_at: str = ""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(FragileStore):
    """Kills the process instead of raising."""

    die_at = ""

    def _count(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                die()

    def mark_published(self, revisions: Iterable[tuple[str, int]]) -> None:
        if self.die_at == "mark":
            die()
        super().mark_published(revisions)


class DyingWorld(World):
    """Keeps what it emits in a file, and dies where a test says."""

    def __init__(self, work: Work) -> None:
        super().__init__(redis.Redis.from_url(work.redis_url), work.database)
        self.work = work
        self.store.__class__ = DyingStore
        self.store.writes_left = work.die_before_write
        self.store.die_at = work.die_at  # type: ignore[attr-defined]

    def gone(self) -> None:
        die()

    def _emit(self, outcome: Outcome) -> None:
        super()._emit(outcome)
        with Path(self.work.outbox).open("ab") as file:
            pickle.dump(list(outcome.emit), file)
            file.flush()
            os.fsync(file.fileno())


def main() -> None:
    work: Any = pickle.load(sys.stdin.buffer)
    world = DyingWorld(work)
    world.sent, world.now_us = work.sent, work.now_us
    cut = work.die_at if work.die_at in ("before", "after") else ""
    if work.apply:
        world.apply(work.apply, cut=cut)
    else:
        world.tick_clock(cut=cut)


if __name__ == "__main__":
    main()
