"""History of a feed's symbols: the exchange's candles up to a minute, every trade after it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from functions.exchange_bridge.exchange import Exchange, Kline
from functions.exchange_bridge.health import Seen
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.rest import RestError, understood
from shared.adapter.event import OutgoingEvent
from shared.errors import TransientError
from shared.market.decimals import EXACT
from shared.market.timeframes import Timeframe, parse_ladder
from shared.runtime import metrics
from shared.sources.outbox import Outbox
from shared.stores.postgres import Postgres
from shared.wire import events
from shared.wire.candle import VENUE, Candle
from shared.wire.candle_columns import CandleColumns
from shared.wire.candle_history import CandleHistory

log = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK: Final = 1_440
"""Base candles per event: a day of minutes."""
UNDER_WAY_US: Final = 2_000_000
"""The largest age of a trade still in transit, or error of this clock."""
RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 60.0
_LADDER: Final = "SELECT ladder FROM aggregation"
_STORED_RANGES: Final = """
    SELECT from_us, to_us FROM candle_histories
    WHERE instrument = %s AND (candles > 0 OR to_us - from_us > %s)
"""
"""Ignores the markers that `seam_event` stores there."""


@dataclass(slots=True)
class History:
    """The history of a running feed: the `span_us` before its first trades."""

    intake: Intake
    postgres: Postgres
    outbox: Outbox
    life: str
    span_us: int

    async def run(self, new_symbols: Sequence[str]) -> None:
        """Start the trades of new symbols at a base interval's start, then fetch older candles.

        What is stored already is not asked for again. Ends when all is handed on.
        """
        exchange = self.intake.exchange
        base = await until_readable(exchange.name, lambda: base_timeframe(self.postgres))
        if base.length_us not in exchange.intervals:
            log.error("%s lists no candles of %s: its history is not fetched", exchange.name, base)
            self.intake.has_resumed = True
            return
        seams = {}
        for symbol in new_symbols:
            try:
                seam_us = seams[symbol] = await self._seam(symbol, base)
            except RestError as error:
                self._note(f"the start of the trades of {symbol} is not reported: {error}")
                continue
            # Before any trade id is promised: a later run would not know that trades start here.
            begin = seam_event(exchange.instrument(symbol), base, seam_us)
            await self._put(symbol, begin)
        self.intake.has_resumed = True
        for symbol in exchange.symbols:
            to_us = seams.get(symbol) or self._last_start(symbol, base)
            await self._fetch(symbol, base, to_us)

    async def _seam(self, symbol: str, base: Timeframe) -> int:
        """Mark every trade since the start of an interval that did not arrive as missing.

        Trades that arrived earlier are seen, so the others are a hole of contiguous ids: it is
        reported, fetched and filled like any other. Returns the start.
        """
        while not self.intake.health.is_up:  # noqa: ASYNC110 - a state of a connection, no event
            await asyncio.sleep(0.05)
        start_us = self._last_start(symbol, base)
        exchange = self.intake.exchange
        before = await until_answered(exchange.name, lambda: exchange.before(symbol, start_us))
        if before is not None:
            self.intake.of(symbol).resume(before, self.intake.now_s())
        log.info("%s: the trades of %s begin at %d us", exchange.name, symbol, start_us)
        return start_us

    def _last_start(self, symbol: str, base: Timeframe) -> int:
        """Return the start of the interval of the first received trade, or of now."""
        now_us = self.intake.now_us()
        skew_us = self.intake.health.skew.us or 0
        latest_us = now_us + min(skew_us, 0) - UNDER_WAY_US
        low = self.intake.of(symbol).low
        return base.start_us(latest_us if low is None else min(low.time_us, latest_us))

    async def _fetch(self, symbol: str, base: Timeframe, to_us: int) -> None:
        exchange, from_us = self.intake.exchange, to_us - self.span_us
        chunks = await missing_parts(exchange, self.postgres, symbol, base, from_us, to_us)
        seen = self.intake.health.of(symbol) or Seen()
        seen.history_done, seen.history_parts = 0, len(chunks)
        for number, (from_us, until_us) in enumerate(chunks, 1):
            seen.history_done = number - 1
            try:
                history = await history_of(exchange, symbol, base, from_us, until_us)
            except RestError as error:
                self._note(f"the history of {symbol} is not given: {error}")
                continue
            if not len(history.candles):
                continue
            await self._put(symbol, history)
            metrics.HISTORY_CANDLES.labels(exchange.name).inc(len(history.candles))
            log.info(
                "%s: history of %s, %d of %d parts, %d candles",
                *(exchange.name, symbol, number, len(chunks), len(history.candles)),
            )
        seen.history_done = len(chunks)

    async def _put(self, symbol: str, history: CandleHistory) -> None:
        await self.outbox.put_when_room(history_event(f"{self.life}/{symbol}", history))

    def _note(self, error: str) -> None:
        self.intake.health.error = error
        log.error("%s: %s", self.intake.exchange.name, error)


def base_timeframe(postgres: Postgres) -> Timeframe:
    """Return the base timeframe. Raises TransientError: not known yet."""
    with postgres.connection() as connection:
        row = connection.execute(_LADDER).fetchone()
    if row is None:
        raise TransientError("candle-aggregate has not begun yet")
    return parse_ladder(row[0])[0]


def seam_event(instrument: str, base: Timeframe, begin_us: int) -> CandleHistory:
    """Return the event: every trade since an interval's start is received or in a gap."""
    nothing = columns(instrument, base, [])
    return CandleHistory(instrument, begin_us - base.length_us, begin_us, True, nothing)


async def missing_parts(
    exchange: Exchange, postgres: Postgres, symbol: str, base: Timeframe, from_us: int, to_us: int
) -> list[tuple[int, int]]:
    """Return the parts of [from_us, to_us) whose venue candles were not published yet."""
    parameters = exchange.instrument(symbol), base.length_us

    def read() -> list[tuple[int, int]]:
        with postgres.connection() as connection:
            return connection.execute(_STORED_RANGES, parameters).fetchall()

    return missing_chunks(base, from_us, to_us, await until_readable(exchange.name, read))


async def history_of(
    exchange: Exchange, symbol: str, base: Timeframe, from_us: int, to_us: int
) -> CandleHistory:
    """Return the candles of a range. Raises RestError: the exchange will not list them."""
    klines = await until_answered(
        exchange.name, lambda: fetched(exchange, symbol, base, from_us, to_us)
    )
    name = exchange.instrument(symbol)
    return CandleHistory(name, from_us, to_us, False, columns(name, base, klines))


def missing_chunks(
    base: Timeframe, from_us: int, to_us: int, stored: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Cut [from_us, to_us) into chunks of whole intervals; leave out those that are known."""
    length_us = CHUNK * base.length_us
    start_us, chunks = base.start_us(from_us + base.length_us - 1), []
    while start_us < to_us:
        end_us = min(start_us // length_us * length_us + length_us, to_us)
        if not any(a <= start_us and end_us <= b for a, b in stored):
            chunks.append((start_us, end_us))
        start_us = end_us
    return chunks


async def fetched(
    exchange: Exchange, symbol: str, base: Timeframe, from_us: int, to_us: int
) -> list[Kline]:
    """Return the candles of a range, ascending, each once. Raises RestError."""
    pages = exchange.klines(symbol, base.length_us, from_us, to_us)
    by_start = {kline.start_us: kline async for page in pages for kline in page}
    return [
        by_start[start_us] for start_us in sorted(by_start) if base.start_us(start_us) == start_us
    ]


def columns(instrument: str, base: Timeframe, klines: Sequence[Kline]) -> CandleColumns:
    """Return candles of the venue's origin."""
    return CandleColumns.of(base.name, [_candle(instrument, base, each) for each in klines])


def history_event(source: str, history: CandleHistory) -> OutgoingEvent:
    """Return the event, with an id made of its range and owner."""
    id_ = f"{source}/history/{history.from_us}-{history.to_us}"
    return OutgoingEvent.packed(id_, events.HISTORY, history.encode())


async def until_answered(
    feed: str, ask: Callable[[], Awaitable[T]], longest_s: float = LONGEST_RETRY_S
) -> T:
    """Retry a request until it is answered. Raises RestError: it never will."""
    pause_s = RETRY_S
    while True:
        try:
            with understood():
                return await ask()
        except (RestError, TransientError) as error:
            if isinstance(error, RestError) and error.is_final:
                raise
            log.warning("%s: asked again in %g s: %s", feed, pause_s, error)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, longest_s)


async def until_readable(feed: str, read: Callable[[], T]) -> T:
    """Retry a query until Postgres can be read."""
    return await until_answered(feed, lambda: asyncio.to_thread(read), RETRY_S)


def _candle(instrument: str, base: Timeframe, kline: Kline) -> Candle:
    sides = (Decimal(0), Decimal(0))
    if kline.bought is not None:
        sides = (kline.bought, EXACT.subtract(kline.volume, kline.bought))
    return Candle(
        *(instrument, base.name, kline.start_us),
        *(kline.open, kline.high, kline.low, kline.close, kline.volume, kline.notional),
        kline.trades,
        *sides,
        *(kline.start_us, base.next_us(kline.start_us) - 1),
        closed=True,
        origin=VENUE,
    )
