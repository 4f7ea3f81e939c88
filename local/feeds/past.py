"""History of a simulated market: trades before now, generated as columns from a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.feeds.files.layouts import FIELDS
from local.feeds.files.trades import Trades
from local.feeds.instruments import SimulatedInstrument

TRADES: Final = 120_000
"""Maximum trades of a history, over all instruments: a few seconds of bulk import."""
SPACING_MS: Final = 1_440
"""Average time between two trades, over all instruments: TRADES in two days."""
_ORDER: Final = ("symbol", "price", "size", "time", "side", "trade_id")


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
    parts, reached = [], []
    for each in instruments:
        last = last_trades.get(each.symbol)
        since_ms = until_ms - span_ms
        if last is not None:
            since_ms = max(since_ms, last.time_ms + 1)
            each = replace(each, price=_at_grid(last.price, each))
        each_ms = max(SPACING_MS, span_ms / TRADES) * total / each.share
        stands_for = max(rate * each.share / total * each_ms / 1000, 1.0)
        columns, price = _walk(each, seed, since_ms, until_ms, each_ms, stands_for)
        parts.append(columns)
        reached.append(replace(each, price=price))
    order = np.argsort(np.concatenate([part["time"].to_numpy() for part in parts]), kind="stable")
    joined = {name: pa.concat_arrays([part[name] for part in parts]).take(order) for name in _ORDER}
    empty = pa.array([""] * len(order), type=pa.string())
    texts = {name: pc.cast(joined.get(name, empty), pa.string()) for name in FIELDS}
    names = [each.symbol for each in instruments]
    seeds = f"{seed} {until_ms} {span_ms} {rate} {sorted(last_trades)} {names}"
    identity = f"past-{hashlib.sha256(seeds.encode()).hexdigest()[:24]}"
    chunks = {name: pa.chunked_array([column]) for name, column in texts.items()}
    return Past(Trades("the market's past", identity, 1, chunks), reached)


def _walk(
    traded: SimulatedInstrument,
    seed: int,
    since_ms: int,
    until_ms: int,
    each_ms: float,
    stands_for: float,
) -> tuple[dict[str, pa.Array], int]:
    """Return the columns of one instrument's trades, and its price at the end."""
    rng = np.random.default_rng(list(f"past:{traded.symbol}:{seed}".encode()))
    count = max(int((until_ms - since_ms) / each_ms), 0)
    times = np.sort(rng.integers(since_ms, max(until_ms, since_ms + 1), count))
    elapsed_s = np.diff(times, prepend=since_ms) / 1000
    variance = traded.volatility**2 * elapsed_s
    steps = rng.standard_normal(count) * np.sqrt(variance) - variance / 2
    log_price = np.log(traded.price / traded.price_step) + np.cumsum(steps)
    bought = rng.random(count) < 0.5
    exact = np.exp(log_price) + np.where(bought, 0.5, -0.5) * traded.spread
    prices = np.maximum(np.rint(exact), 1).astype(np.int64) * traded.price_step
    drawn = traded.size / traded.size_step * rng.lognormal(0.0, traded.size_spread, count)
    sizes = np.maximum(np.rint(drawn * stands_for), 1).astype(np.int64) * traded.size_step
    ids = times * 1000 + np.arange(count) - np.searchsorted(times, times)
    columns = {
        "symbol": pa.array([traded.symbol] * count, type=pa.string()),
        "price": _texts(prices, traded.price_scale),
        "size": _texts(sizes, traded.size_scale),
        "time": pa.array(times),
        "side": pc.if_else(pa.array(bought), "buy", "sell"),
        "trade_id": pa.array(ids),
    }
    if not count:
        return columns, traded.price
    return columns, max(round(float(np.exp(log_price[-1]))), 1) * traded.price_step


def _at_grid(price: Decimal, traded: SimulatedInstrument) -> int:
    """Return a price as the nearest multiple of the tick size, in units of 10^-price_scale."""
    step = traded.price_step
    return max(round(price.scaleb(traded.price_scale) / step), 1) * step


def _texts(mantissas: NDArray[np.int64], scale: int) -> pa.Array:
    """Format mantissa x 10^-scale with `scale` decimals; mantissas are positive."""
    if not scale:
        return pa.array(mantissas).cast(pa.string())
    whole, rest = np.divmod(mantissas, 10**scale)
    padded = pc.utf8_lpad(pa.array(rest).cast(pa.string()), width=scale, padding="0")
    return pc.binary_join_element_wise(pa.array(whole).cast(pa.string()), padded, ".")
