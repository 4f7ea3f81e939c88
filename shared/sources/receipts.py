"""Receipts: items settled in any order, reported in the order they were put."""

from __future__ import annotations

import asyncio


class Receipts:
    """Numbers items from 1 and reports how many leading ones are settled."""

    def __init__(self) -> None:
        self.issued = 0
        self.settled = 0
        self._open: dict[int, int] = {}
        self._moved = asyncio.Event()

    def issue(self) -> int:
        """Return the next item's number; it has one part."""
        self.issued += 1
        self._open[self.issued] = 1
        return self.issued

    def split(self, number: int, parts: int) -> None:
        """Set the number of parts: the item is settled when all of them are."""
        self._open[number] = parts

    def settle(self, number: int) -> None:
        """Settle a part of it."""
        self._open[number] -= 1
        if self._open[number]:
            return
        del self._open[number]
        before, self.settled = self.settled, next(iter(self._open), self.issued + 1) - 1
        if self.settled > before:
            self._moved.set()
            self._moved = asyncio.Event()

    async def until_settled(self, count: int) -> None:
        """Wait until the first `count` are settled."""
        while self.settled < count:
            await self._moved.wait()
