"""Received trades of a symbol by time and connection, where ids are not contiguous; pure.

Here a trade's id is its event time in milliseconds. A connection has no holes; each new one leaves
a hole, from the last trade before to the first one after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from functions.exchange_bridge.exchange import Trade
from functions.exchange_bridge.seen_ids import Missing, SymbolIds


@dataclass(slots=True)
class SymbolTimes(SymbolIds):
    """One symbol's times. `is_unsure`: trades may be missing since the last one seen."""

    is_unsure: bool = False
    joined: ClassVar[int] = 1_000

    def connected(self) -> None:
        """Note a new connection."""
        self.is_unsure = self.high is not None

    def see(self, trade: Trade, now_s: float) -> None:
        """Add a received trade."""
        high = self.high
        if high is None:
            self.low = self.high = trade
        elif trade.id > high.id:
            if self.is_unsure:
                self._open(high.id, trade.id, high.time_us, trade.time_us, now_s)
                self.is_unsure = False
            self.high = trade

    def exists(self, trade: Trade, now_s: float) -> None:
        """Note an existing trade that has not arrived (yet)."""
        high = self.high
        if high is None:
            self.low = self.high = trade._replace(id=trade.id + 1)
            self.is_unsure = True
        elif trade.id > high.id:
            self._open(high.id, trade.id, high.time_us, trade.time_us, now_s)
            self.high = trade
            self.is_unsure = True

    def resume(self, before: Trade, now_s: float) -> None:
        """Note the last trade of the previous run; everything since is missing."""
        if self.high is None or self.low is None:
            self.low = self.high = before._replace(id=before.id + 1)
            self.is_unsure = True
        elif before.id < self.low.id:
            missing = (before.id + 1, self.low.id, before.time_us, self.low.time_us)
            self._open(*missing, now_s)
            self.low = before

    def settle(self, missing: Missing, first: int, reaches: int) -> list[tuple[int, int]]:
        """Remove a fully listed range from every hole and gap. No id is absent."""
        self.fill(first, reaches)
        return []

    def certain(self) -> Trade | None:
        """Return the time up to which all were seen or are in a gap; the last may be shared."""
        certain = SymbolIds.certain(self)
        if certain is None or certain is not self.high:
            return certain
        return certain._replace(id=certain.id - 1)

    def count(self, missing: Missing) -> int:
        """Return 1 while anything is missing: the number of trades is unknown."""
        return 1 if missing.left else 0
