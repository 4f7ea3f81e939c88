"""History of a simulated market: trades before now, generated from a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa

from local.feeds.files.layouts import FIELDS
from local.feeds.files.trades import Trades
from local.feeds.instruments import SimulatedInstrument
from local.feeds.simulator import Market
from local.feeds.tick import Tick

TRADES: Final = 120_000
"""Maximum trades of a history, over all instruments: a few seconds of bulk import."""
SPACING_MS: Final = 1_440
"""Average time between two trades, over all instruments: TRADES in two days."""


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The newest known trade of an instrument; `time_ms`: since 1970 UTC."""

    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class Past:
    """Trades in time order, and the instruments at their last price."""

    trades: Trades
    instruments: list[SimulatedInstrument]


def make_past(
    instruments: Sequence[SimulatedInstrument],
    last_trades: Mapping[str, LastTrade],
    *,
    seed: int,
    span_ms: int,
    until_ms: int,
    rate: float,
) -> Past:
    """Generate the trades of [until - span, until), after the last known trade of an instrument.

    A trade stands for several of a market with `rate` trades a second and has their total size, so
    that volumes continue as before. Trade ids ascend, below those of a simulator that starts then.
    """
    total = sum(each.share for each in instruments)
    ticks: list[Tick] = []
    reached = []
    for each in instruments:
        last = last_trades.get(each.symbol)
        since_ms = until_ms - span_ms
        if last is not None:
            since_ms = max(since_ms, last.time_ms + 1)
            each = replace(each, price=_at_grid(last.price, each))
        each_ms = max(SPACING_MS, span_ms / TRADES) * total / each.share
        stands_for = max(rate * each.share / total * each_ms / 1000, 1.0)
        larger = replace(each, size=round(each.size * stands_for))
        market = Market(larger, f"past:{seed}", since_ms)
        chance = random.Random(f"past:{each.symbol}:{seed}")  # noqa: S311 - a simulated market
        count = max(int((until_ms - since_ms) / each_ms), 0)
        ticks += map(market.trade, sorted(chance.choices(range(since_ms, until_ms), k=count)))
        reached.append(replace(each, price=market.price))
    ticks.sort(key=lambda tick: tick.time_ms or 0)
    names = [each.symbol for each in instruments]
    seeds = f"{seed} {until_ms} {span_ms} {rate} {sorted(last_trades)} {names}"
    identity = f"past-{hashlib.sha256(seeds.encode()).hexdigest()[:24]}"
    columns = {
        name: pa.chunked_array([pa.array([str(tick[at]) for tick in ticks], pa.string())])
        for at, name in enumerate(FIELDS)
    }
    return Past(
        Trades("the market's past", identity, np.arange(1, len(ticks) + 1), columns), reached
    )


def _at_grid(price: Decimal, traded: SimulatedInstrument) -> int:
    """Return a price as the nearest multiple of the tick size, in units of 10^-price_scale."""
    step = traded.price_step
    return max(round(price.scaleb(traded.price_scale) / step), 1) * step
