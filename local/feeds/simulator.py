"""Market simulator: trades from a seed, some of them late or repeated.

The simulator has no clock of its own: `advance(now_ms)` returns what arrives up to that time. The
same seed and the same times give the same ticks.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Final, NamedTuple

from local.feeds.instruments import SimulatedInstrument
from local.feeds.tick import Tick

MAX_STEP_MS: Final = 1_000
"""Longest span covered by one call: a machine that slept does not wake to a flood."""

DUPLICATE_WITHIN_MS: Final = 1_000
"""Maximum delay of a repeated tick."""

GONE_LIVE: Final = "the market is live"
"""Output of the command once the history is in the candles."""

BURST_EVERY_S: Final = 8.0
BURST_S: Final = (0.4, 1.5)
BURST_FACTOR: Final = (5.0, 15.0)


class Arrival(Enum):
    """Kind of arrival of a tick."""

    ON_TIME = "on time"
    LATE = "late"
    DUPLICATE = "duplicate"


class Arrived(NamedTuple):
    """One tick on arrival at the pipeline."""

    tick: Tick
    arrival: Arrival


@dataclass(frozen=True)
class Disorder:
    """Disturbances between market and pipeline: late, repeated and reordered ticks.

    A share of the ticks (`late_share`, 0 to 1) is held back for between half of `late_ms` and all
    of it, so that it arrives with an old event time; a share (`duplicate_share`) comes twice.
    """

    late_share: float = 0.0
    late_ms: int = 5_000
    duplicate_share: float = 0.0


class Simulator:
    """Trades of several instruments at `rate` a second in all, on average outside bursts."""

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument],
        *,
        seed: int,
        start_ms: int,
        rate: float,
        bursts: bool = False,
        disorder: Disorder | None = None,
    ) -> None:
        """Begin at `start_ms`, milliseconds since 1970 UTC.

        Trade ids count up from `start_ms` in microseconds, so that a later start never uses an id
        again for another trade (up to a million trades a second of one instrument).
        """
        self._markets = [Market(each, seed, start_ms) for each in instruments]
        self._shares = list(accumulate(each.instrument.share for each in self._markets))
        # Two random generators: disorder does not change the market.
        self._chance = random.Random(f"arrivals:{seed}")  # noqa: S311 - a simulated market, not a secret
        self._way = random.Random(f"way:{seed}")  # noqa: S311 - a simulated market, not a secret
        self._rate = rate
        self._bursts = _Bursts(seed, start_ms) if bursts else None
        self._disorder = disorder or Disorder()
        self._now_ms = start_ms
        self._owed = 0.0
        self.traded = 0
        self._held: list[tuple[int, int, Arrived]] = []
        self._held_count = 0

    def advance(self, now_ms: int, at_most: int | None = None) -> list[Arrived]:
        """Return what arrives since the last call and up to `now_ms`, in order of arrival.

        `at_most` bounds new trades, not held back ones. An earlier time than the last call's
        returns nothing.
        """
        span_ms = min(max(now_ms - self._now_ms, 0), MAX_STEP_MS)
        since_ms, self._now_ms = now_ms - span_ms, max(now_ms, self._now_ms)
        factor = self._bursts.factor(self._now_ms) if self._bursts else 1.0
        self._owed += self._rate * factor * span_ms / 1000
        count = int(self._owed)
        self._owed -= count
        if at_most is not None:
            count = min(count, at_most)
        self.traded += count
        arrived: list[Arrived] = []
        for index in range(count):
            time_ms = since_ms + span_ms * (index + 1) // count
            self._release(time_ms, arrived)
            self._arrive(self._trade(time_ms), time_ms, arrived)
        self._release(self._now_ms, arrived)
        return arrived

    def drain(self) -> list[Arrived]:
        """Return everything still held back, in order of arrival."""
        arrived: list[Arrived] = []
        self._release(None, arrived)
        return arrived

    def _trade(self, time_ms: int) -> Tick:
        return self._chance.choices(self._markets, cum_weights=self._shares)[0].trade(time_ms)

    def _arrive(self, tick: Tick, time_ms: int, arrived: list[Arrived]) -> None:
        disorder = self._disorder
        delay_ms = 0
        if disorder.late_share and self._way.random() < disorder.late_share:
            delay_ms = max(int(disorder.late_ms * self._way.uniform(0.5, 1.0)), 1)
            self._hold(time_ms + delay_ms, Arrived(tick, Arrival.LATE))
        else:
            arrived.append(Arrived(tick, Arrival.ON_TIME))
        if disorder.duplicate_share and self._way.random() < disorder.duplicate_share:
            delay_ms += self._way.randint(1, DUPLICATE_WITHIN_MS)
            self._hold(time_ms + delay_ms, Arrived(tick, Arrival.DUPLICATE))

    def _hold(self, until_ms: int, held: Arrived) -> None:
        self._held_count += 1  # tie breaker of equal times
        heapq.heappush(self._held, (until_ms, self._held_count, held))

    def _release(self, now_ms: int | None, arrived: list[Arrived]) -> None:
        while self._held and (now_ms is None or self._held[0][0] <= now_ms):
            arrived.append(heapq.heappop(self._held)[2])


class Market:
    """One instrument's trades: a geometric random walk, rounded to the tick size."""

    def __init__(self, instrument: SimulatedInstrument, seed: object, start_ms: int) -> None:
        self.instrument = instrument
        self._chance = random.Random(f"{instrument.symbol}:{seed}")  # noqa: S311 - a simulated market
        self._log_price = math.log(instrument.price / instrument.price_step)
        self._time_ms = start_ms
        self._trade_id = start_ms * 1000

    def trade(self, time_ms: int) -> Tick:
        """Return the next trade, at `time_ms`."""
        traded = self.instrument
        elapsed_s = max(time_ms - self._time_ms, 0) / 1000
        self._time_ms = time_ms
        # The drift keeps the expected price where it is.
        variance = traded.volatility**2 * elapsed_s
        self._log_price += self._chance.gauss(0.0, 1.0) * math.sqrt(variance) - variance / 2
        bought = self._chance.random() < 0.5
        steps = math.exp(self._log_price) + (0.5 if bought else -0.5) * traded.spread
        size_steps = (
            traded.size / traded.size_step * self._chance.lognormvariate(0.0, traded.size_spread)
        )
        trade_id = self._trade_id
        self._trade_id += 1
        return Tick(
            traded.symbol,
            _decimal(max(round(steps), 1) * traded.price_step, traded.price_scale),
            _decimal(max(round(size_steps), 1) * traded.size_step, traded.size_scale),
            time_ms,
            "buy" if bought else "sell",
            str(trade_id),
        )

    @property
    def price(self) -> int:
        """The price that it reached, in units of 10^-price_scale."""
        return max(round(math.exp(self._log_price)), 1) * self.instrument.price_step


class _Bursts:
    """Occasional short bursts of a multiple of the usual rate."""

    def __init__(self, seed: int, start_ms: int) -> None:
        self._chance = random.Random(f"bursts:{seed}")  # noqa: S311 - a simulated market, not a secret
        self._factor = 1.0
        self._until_ms = start_ms + self._pause_ms()

    def factor(self, now_ms: int) -> float:
        """Return the current multiple of the usual rate."""
        while now_ms >= self._until_ms:
            if self._factor == 1.0:
                self._factor = self._chance.uniform(*BURST_FACTOR)
                self._until_ms += int(1000 * self._chance.uniform(*BURST_S))
            else:
                self._factor = 1.0
                self._until_ms += self._pause_ms()
        return self._factor

    def _pause_ms(self) -> int:
        return int(1000 * self._chance.expovariate(1 / BURST_EVERY_S)) + 1


def _decimal(mantissa: int, scale: int) -> str:
    """Format mantissa x 10^-scale with `scale` decimals."""
    if not scale:
        return str(mantissa)
    digits = str(mantissa).zfill(scale + 1)
    return f"{digits[:-scale]}.{digits[-scale:]}"
