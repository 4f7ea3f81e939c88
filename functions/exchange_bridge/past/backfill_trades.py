"""Backfill trades of a time range in pieces; a piece is an open gap until it is sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from functions.exchange_bridge.exchange import Exchange, Fetched, Trade
from functions.exchange_bridge.intake import fetched_batches
from functions.exchange_bridge.past.gaps import gap_event
from functions.exchange_bridge.past.venue_history import until_answered, until_readable
from functions.exchange_bridge.rest import RestError
from shared.sources.batcher import Batcher
from shared.sources.outbox import Outbox
from shared.stores.postgres import Postgres
from shared.wire.gaps import Gap, GapState

log = logging.getLogger(__name__)

PIECE: Final = 20_000
"""Trade ids per piece: what is in memory, and what an interrupted run repeats."""
SENT_AT_ONCE: Final = 1_000
_LOOK_S: Final = 0.1
_STORED_WITHIN_S: Final = 300.0

_FILLED: Final = (
    "SELECT first_id, last_id FROM gaps WHERE feed = %s AND symbol = %s AND state = 'filled'"
)
_IS_OPEN: Final = (
    "SELECT FROM gaps WHERE feed = %s AND symbol = %s AND first_id = %s AND last_id = %s"
)


class Piece(NamedTuple):
    """Trade ids, both included."""

    first: int
    last: int


def pieces(first: int, last: int) -> list[Piece]:
    """Cut ids into pieces aligned to multiples of PIECE, so that every run cuts alike."""
    result = []
    while first <= last:
        end = min(first // PIECE * PIECE + PIECE - 1, last)
        result.append(Piece(first, end))
        first = end + 1
    return result


@dataclass(slots=True)
class TradeBackfill:
    """Sends the trades of a feed's symbols; `report` gets symbol, trades so far, and the total."""

    exchange: Exchange
    outbox: Outbox
    batcher: Batcher
    postgres: Postgres
    report: Callable[[str, int, int], None]
    _last_us: int = 0
    _open: list[Gap] = field(default_factory=list)

    async def run(self, symbol: str, from_us: int, to_us: int) -> int:
        """Send the trades of [from_us, to_us); return their number.

        A gap is filled only after the next one is open, so that no candle cut between two pieces
        looks complete. Pieces filled by an earlier run are skipped. Raises RestError.
        """
        exchange = self.exchange
        begin = await until_answered(exchange.name, lambda: exchange.before(symbol, from_us))
        if begin is None:
            return 0
        end = await until_answered(exchange.name, lambda: exchange.before(symbol, to_us))
        if end is None:
            end = await until_answered(exchange.name, lambda: exchange.newest(symbol))
        if end is None:
            raise RestError(f"{symbol} has no trade at the end of the range yet: choose an earlier")
        filled = await until_readable(exchange.name, lambda: self._filled(symbol))
        total, sent = end.id - begin.id, 0
        self._last_us = from_us
        for piece in pieces(begin.id + 1, end.id):
            if piece not in filled:
                await self._send(symbol, piece)
            sent += piece.last - piece.first + 1
            self.report(symbol, sent, total)
        await self._fill_open()
        return sent

    async def _send(self, symbol: str, piece: Piece) -> None:
        pages = await until_answered(self.exchange.name, lambda: self._pages(symbol, piece))
        trades = [trade for page in pages for trade in page.trades]
        times = [trade.time_us for trade in trades] or [self._last_us]
        absent = piece.last - piece.first + 1 - len({trade.id for trade in trades})
        gap = Gap(
            *(symbol, self.exchange.instrument(symbol), *piece),
            *(min(self._last_us, *times), max(times)),
            GapState.OPEN,
            absent,
            time.time_ns() // 1000,
        )
        self._last_us = max(times)
        await self._publish(gap)
        await self._until_open(gap)
        await self._fill_open()
        self._open.append(gap)
        payloads = [payload for page in pages for payload in page.payloads]
        now_us = time.time_ns() // 1000
        for first in range(0, len(payloads), SENT_AT_ONCE):
            chunk = payloads[first : first + SENT_AT_ONCE]
            await self.outbox.put_when_room(*fetched_batches(self.batcher, chunk, now_us))
        await self.outbox.until_accepted(self.outbox.put_count)

    async def _pages(self, symbol: str, piece: Piece) -> list[Fetched]:
        """Return all pages of a piece. Raises RestError: not all of it is listed yet."""
        first = Trade(symbol, piece.first, self._last_us)
        last = Trade(symbol, piece.last, self._last_us)
        pages, reaches = [], piece.first - 1
        async for page in self.exchange.missing(symbol, first, last):
            pages.append(page)
            reaches = max(reaches, page.reaches)
        if reaches < piece.last:
            raise RestError(f"trades of {symbol} are listed to {reaches}, not to {piece.last}")
        return pages

    async def _fill_open(self) -> None:
        for gap in self._open:
            changed_us = time.time_ns() // 1000
            await self._publish(replace(gap, state=GapState.FILLED, changed_us=changed_us))
        self._open.clear()

    async def _publish(self, gap: Gap) -> None:
        await self.outbox.put_when_room(gap_event(self.exchange.name, gap))
        await self.outbox.until_accepted(self.outbox.put_count)

    def _filled(self, symbol: str) -> set[tuple[int, int]]:
        with self.postgres.connection() as connection:
            return set(connection.execute(_FILLED, (self.exchange.name, symbol)).fetchall())

    async def _until_open(self, gap: Gap) -> None:
        """Wait until the candles that touch the gap are known to be incomplete."""
        until_s = time.monotonic() + _STORED_WITHIN_S
        while not await until_readable(self.exchange.name, lambda: self._is_open(gap)):
            if time.monotonic() > until_s:
                log.warning("the gap of %s is not stored yet: its trades are sent", gap.symbol)
                return
            await asyncio.sleep(_LOOK_S)

    def _is_open(self, gap: Gap) -> bool:
        parameters = (self.exchange.name, gap.symbol, gap.first_id, gap.last_id)
        with self.postgres.connection() as connection:
            return connection.execute(_IS_OPEN, parameters).fetchone() is not None
