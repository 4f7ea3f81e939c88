"""Types of information bars: notation and measure.

A bar holds the trades of a trading day, in the total order, from the one after the previous bar up
to and including the one with which its measure reaches the amount; the next bar starts from zero.
So a bar is a pure function of the day's trades. The day's last bar ends with the day, below its
amount. Bars by ticks, volume and traded value follow Lopez de Prado, Advances in Financial Machine
Learning (2018), chapter 2.3.1; range bars are Nicolellis' (1995): high minus low.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.market.decimals import EXACT


class Measure(StrEnum):
    """Measure of a bar's amount."""

    TICK = "tick"
    VOLUME = "volume"
    DOLLAR = "dollar"
    RANGE = "range"


_SHORT: Final = {"t": Measure.TICK, "v": Measure.VOLUME, "usd": Measure.DOLLAR, "r": Measure.RANGE}
_FORM: Final = re.compile(
    r"(?:(tick|volume|dollar|range):)?([0-9]{1,24}(?:\.[0-9]{1,24})?)(t|v|usd|r)?"
)


@dataclass(frozen=True, slots=True)
class BarType:
    """A measure and its amount: trades, size, the absolute of price x size, or price.

    Volume-only trades add to their bar but neither end one nor move its prices; a bar of only such
    trades does not exist.
    """

    measure: Measure
    amount: Decimal

    @classmethod
    def parse(cls, text: str) -> BarType:
        """Parse `tick:100`, `volume:1000`, `dollar:1000000`, `range:5`, or 100t, 1000v, 9usd, 5r.

        Raises ValueError with the valid forms.
        """
        match = _FORM.fullmatch(text)
        if match is None or (match[1] is None) == (match[3] is None):
            raise ValueError(
                f"{text[:40]!r} is not a type of bar, such as tick:100, volume:1000, dollar:1000000"
                " and range:5"
            )
        measure = Measure(match[1]) if match[1] else _SHORT[match[3]]
        amount = Decimal(match[2])
        if not amount:
            raise ValueError(f"{text[:40]!r}: the amount is more than 0")
        if measure is Measure.TICK and amount != amount.to_integral_value():
            raise ValueError(f"{text[:40]!r}: a whole number of trades")
        return cls(measure, amount)

    @property
    def name(self) -> str:
        """As `parse` reads it: equal types have equal names."""
        return f"{self.measure}:{format(self.amount.normalize(EXACT), 'f')}"
