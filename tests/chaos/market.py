"""A simulated market of many symbols; each tick is unique, so that a row identifies its tick."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

DAY_MS: Final = 86_400_000


class Tick(NamedTuple):
    """A tick as its sender has it. Its size is unique in the run."""

    symbol: str
    time_ms: int
    price: Decimal
    size: Decimal
    side: str
    trade_id: str | None

    @property
    def line(self) -> str:
        """The tick as CSV."""
        return ",".join(
            (
                *(self.symbol, str(self.price), str(self.size), str(self.time_ms)),
                *(self.side, self.trade_id or ""),
            )
        ).rstrip(",")


@dataclass(frozen=True)
class Pace:
    """The event time of a symbol: from `start_ms`, `speed` times as fast as the wall clock.

    Speed 0: anywhere within the days before, so that most ticks are too late for the state.
    """

    start_ms: int
    speed: float
    has_ids: bool


class Market:
    """Generates ticks. Each sender has its own, since it is not thread-safe."""

    def __init__(self, name: str, seed: int, now_ms: int) -> None:
        self._random = random.Random(f"{name} {seed}")
        self._began_s = time.monotonic()
        self._count = 0
        self._recent: list[Tick] = []
        self._paces = {
            f"{name}-LIVE": Pace(now_ms, 1, has_ids=True),
            f"{name}-FAST": Pace(now_ms - DAY_MS, 60, has_ids=True),
            f"{name}-NOID": Pace(now_ms - DAY_MS // 2, 30, has_ids=False),
            f"{name}-OLD": Pace(now_ms - DAY_MS, 0, has_ids=True),
        }
        self.symbols: Sequence[str] = tuple(self._paces)

    def ticks(self, count: int) -> list[Tick]:
        """Generate ticks; some with a trade id are repeated, as a reconnecting feed does."""
        made = [self._tick() for _ in range(count)]
        repeated = [t for t in self._recent if t.trade_id and self._random.random() < 0.03]
        self._recent = made
        return [*made, *repeated]

    def _tick(self) -> Tick:
        source = self._random
        symbol = source.choices(self.symbols, (20, 20, 20, 1))[0]
        pace = self._paces[symbol]
        if pace.speed == 0:
            time_ms = pace.start_ms - source.randrange(3 * DAY_MS)
        else:
            elapsed_ms = (time.monotonic() - self._began_s) * 1000 * pace.speed
            # ties, disorder, and sometimes a tick far too late
            late_ms = source.choice([0, 0, 0, source.randrange(3_000)])
            if source.random() < 0.01:
                late_ms = source.randrange(600_000)
            time_ms = pace.start_ms + int(elapsed_ms - late_ms) // 250 * 250
        self._count += 1
        return Tick(
            symbol,
            time_ms,
            Decimal(source.randrange(10**6, 2 * 10**6)).scaleb(-source.choice([2, 4])),
            Decimal(self._count).scaleb(-6),
            source.choice(["buy", "sell", ""]),
            str(self._count) if pace.has_ids else None,
        )
