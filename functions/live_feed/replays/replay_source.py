"""Stored trades and patterns of one symbol in replay order, read page by page."""

from __future__ import annotations

import heapq
from typing import Any, Final, NamedTuple

from functions.live_feed.derived.history_api import HistoryApi
from functions.live_feed.replays.replay_request import RequestError

LOOK_BACK_US: Final = 600_000_000
"""By receipt: the largest age of a trade at its receipt that is still replayed."""
SKEW_US: Final = 5_000_000
"""By receipt: how far event time may be ahead of receipt without breaking the order."""
MAX_HELD: Final = 20_000
_WINDOW_US: Final = 3_600_000_000
_NEVER: Final = 2**63


class Trade(NamedTuple):
    """One trade: replay time, position in the total order, and content.

    `moves_price`: whether it counts for open, high, low and close, not only for volume.
    """

    at_us: int
    order: int
    time_us: int
    received_us: int
    price: str
    size: str
    side: str | None
    id: str | None
    moves_price: bool = True


class Trades:
    """The trades of a symbol played in [from_us, to_us); earlier ones from `begin_us`.

    Every method raises TransientError while the history API is away.
    """

    def __init__(
        self, history: HistoryApi, symbol: str, begin_us: int, to_us: int, *, by_receipt: bool
    ) -> None:
        self._history = history
        self._symbol = symbol
        self._from_us = begin_us
        self._to_us = to_us
        self._by_receipt = by_receipt
        self._held: list[Trade] = []
        self._cursor: str | None = None
        self._read_us = 0
        self._count = 0

    async def next_at(self) -> int | None:
        """Return the time of the next trade; None: there is none."""
        while self._read_us < _NEVER and not self._knows_next():
            await self._read()
        return self._held[0].at_us if self._held else None

    def take(self) -> Trade:
        """Return the next trade, after `next_at` has returned its time."""
        return heapq.heappop(self._held)

    def _knows_next(self) -> bool:
        if not self._held:
            return False
        return not self._by_receipt or self._held[0].at_us <= self._read_us - SKEW_US

    async def _read(self) -> None:
        to_us = self._to_us + SKEW_US if self._by_receipt else self._to_us
        page = await self._history.ticks(self._symbol, self._from_us, to_us, self._cursor)
        if page is None:
            raise RequestError("unknown_symbol", f"nothing of {self._symbol} was ever seen")
        rows, self._cursor = page
        for row in rows:
            self._count += 1
            if row.get("ended") is not None:  # cancelled, or its correction follows
                continue
            trade = self._trade(row)
            if self._from_us <= trade.time_us and trade.at_us < self._to_us:
                heapq.heappush(self._held, trade)
        if len(self._held) > MAX_HELD:
            raise RequestError(
                "too_many_late",
                f"more than {MAX_HELD} trades of {self._symbol} were received long after their own"
                " time, as an import's are: replay by event time",
            )
        self._read_us = _NEVER if self._cursor is None else int(rows[-1]["us"])

    def _trade(self, row: dict[str, Any]) -> Trade:
        time_us, received_us = int(row["us"]), int(row["received"]) * 1000
        at_us = received_us if self._by_receipt else time_us
        fields = (row["p"], row["s"], row.get("side"), row.get("id"))
        moves_price = "volume_only" not in (row.get("flags") or "")
        return Trade(at_us, self._count, time_us, received_us, *fields, moves_price)


class Patterns:
    """The patterns of a symbol that became known in [from_us, to_us) and are still valid."""

    def __init__(
        self, history: HistoryApi, symbol: str, from_us: int, to_us: int, window_us: int
    ) -> None:
        self._history = history
        self._symbol = symbol
        self._read_us = from_us
        self._to_us = to_us
        self._window_us = max(window_us, _WINDOW_US)
        self._held: list[dict[str, Any]] = []

    async def next_at(self, until_us: int) -> int | None:
        """Return the time of the next pattern, if by `until_us`."""
        while not self._held and self._read_us < min(until_us + 1, self._to_us):
            end_us = min(self._read_us + self._window_us, self._to_us)
            self._held = await self._history.patterns(self._symbol, self._read_us, end_us)
            self._read_us = end_us
        if not self._held or int(self._held[-1]["timestamp"]) * 1000 > until_us:
            return None
        return int(self._held[-1]["timestamp"]) * 1000

    def take(self) -> dict[str, Any]:
        """Return the next one, after `next_at` has returned its time."""
        return self._held.pop()
