"""Instruments of the simulator: price level, grids, volatility, sizes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class SimulatedInstrument:
    """Parameters of an instrument's trades.

    Prices are multiples of the tick size 10^-price_scale x `price_step`, sizes of 10^-size_scale x
    `size_step`. `price` is the first one in units of 10^-price_scale; `volatility` is the standard
    deviation of the logarithm of the price over one square root of a second; `size` is the median
    in units of 10^-size_scale and `size_spread` the standard deviation of its logarithm; `spread`
    is the distance of bid and ask in price steps; `share` is its weight among all trades.
    """

    symbol: str
    price: int
    price_scale: int
    price_step: int
    volatility: float
    spread: int
    size: int
    size_scale: int
    size_step: int
    size_spread: float
    share: float


# Volatilities are yearly ones (0.55, 0.7, 0.3, 0.9) over the square root of a year's seconds; the
# equity trades 6.5 hours on 252 days.
PRESETS: Final = {
    each.symbol: each
    for each in (
        SimulatedInstrument("BTC-USD", 6_183_763, 2, 1, 9.8e-5, 1, 420_000, 8, 1_000, 1.6, 5.0),
        SimulatedInstrument("ETH-USD", 268_380, 2, 1, 1.25e-4, 1, 6_500_000, 8, 10_000, 1.5, 3.0),
        SimulatedInstrument("AAPL", 22_472, 2, 1, 1.24e-4, 2, 100, 0, 1, 0.9, 2.0),
        SimulatedInstrument("XRP-ETH", 141_342, 8, 1, 1.6e-4, 60, 25_000, 2, 1, 1.4, 1.0),
    )
}


def instrument(symbol: str) -> SimulatedInstrument:
    """Return a known instrument, or one derived from its name alone."""
    if (known := PRESETS.get(symbol)) is not None:
        return known
    drawn = random.Random(symbol)  # noqa: S311 - a simulated market, not a secret
    return SimulatedInstrument(
        symbol=symbol,
        price=int(10 ** drawn.uniform(2.5, 5.0)),
        price_scale=2,
        price_step=drawn.choice((1, 1, 5)),
        volatility=drawn.uniform(8e-5, 3e-4),
        spread=drawn.randint(1, 4),
        size=drawn.choice((10, 50, 100)),
        size_scale=drawn.choice((0, 0, 3)),
        size_step=1,
        size_spread=drawn.uniform(0.6, 1.4),
        share=1.0,
    )
