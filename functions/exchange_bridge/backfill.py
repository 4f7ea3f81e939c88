"""Backfill of a feed on demand: `python -m functions.exchange_bridge.backfill`.

It uses the bridge's feed settings (`FEED`, symbols, addresses); an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from functions.exchange_bridge.exchange import Exchange
from functions.exchange_bridge.past.backfill_trades import TradeBackfill
from functions.exchange_bridge.past.venue_history import (
    base_timeframe,
    history_event,
    history_of,
    missing_parts,
    seam_event,
)
from functions.exchange_bridge.rest import RestError
from functions.exchange_bridge.settings import Settings
from shared.adapter.logs import configure_logging
from shared.adapter.process import bound_sink
from shared.adapter.sink import Sink
from shared.errors import TransientError
from shared.market.timeframes import Timeframe
from shared.market.timestamps import parse_us
from shared.runtime import metrics
from shared.runtime.settings import SettingsError
from shared.sources.batcher import Batcher, new_source
from shared.sources.outbox import Outbox
from shared.stores.postgres import Postgres

_FIRST_TIME: Final = "SELECT first_time_us FROM first_ticks WHERE instrument = %s"


@dataclass(frozen=True, slots=True)
class Filled:
    """Result for a symbol: `candles` or `trades` of [from_us, to_us), and how many were sent."""

    symbol: str
    instrument: str
    by: str
    from_us: int
    to_us: int
    sent: int


async def backfill(
    settings: Settings,
    sink: Sink,
    by: str,
    from_us: int,
    to_us: int | None,
    done: Callable[[Filled], object],
) -> None:
    """Send the candles or trades of [from_us, to_us) of every symbol; `done` gets each result.

    Without an end, up to the instrument's first stored trade. Raises RestError, TransientError.
    """
    exchange, life = settings.exchange, new_source(settings.exchange.name)
    if by == "trades" and (exchange.joins or not exchange.contiguous):
        reason = (
            "lists trades one by one that its feed joins, so some would count twice"
            if exchange.joins
            else "has trade ids that do not count, so no one can tell whether all trades are there"
        )
        raise RestError(f"{exchange.name} {reason}: take --candles", is_final=True)
    outbox = Outbox(
        sink,
        max_bytes=settings.buffer_bytes,
        sent=metrics.FEED_SENT,
        buffered=metrics.FEED_BUFFERED,
    )
    postgres = Postgres(settings.database_url, size=2)
    try:
        base = await asyncio.to_thread(base_timeframe, postgres)
        for symbol in exchange.symbols:
            name = exchange.instrument(symbol)
            since_us = base.start_us(from_us)
            begin_us = await asyncio.to_thread(_begin, postgres, name)
            until_us = base.start_us(begin_us if to_us is None else to_us)
            if by == "candles":
                sent = await _candles(
                    exchange, outbox, postgres, life, base, symbol, since_us, until_us
                )
            else:
                batcher = Batcher(life, settings.batch, exchange.format)
                trades = TradeBackfill(exchange, outbox, batcher, postgres, _report)
                sent = await trades.run(symbol, since_us, until_us)
                if not sent:
                    _say(f"{symbol}: no trades that are not here before {_utc(until_us)}")
                if until_us >= base.start_us(begin_us):  # and those from there on are known
                    begin = seam_event(name, base, since_us)
                    await outbox.put_when_room(history_event(f"{life}/{symbol}", begin))
            await outbox.until_accepted(outbox.put_count)
            done(Filled(symbol, name, by, since_us, until_us, sent))
    finally:
        await outbox.close(settings.drain_s)
        await exchange.rest.close()
        postgres.close()


async def _candles(
    exchange: Exchange,
    outbox: Outbox,
    postgres: Postgres,
    life: str,
    base: Timeframe,
    symbol: str,
    from_us: int,
    to_us: int,
) -> int:
    if base.length_us not in exchange.intervals:
        raise RestError(f"{exchange.name} lists no candles of {base}: try trades", is_final=True)
    chunks = await missing_parts(exchange, postgres, symbol, base, from_us, to_us)
    total = 0
    for number, (since_us, until_us) in enumerate(chunks, 1):
        history = await history_of(exchange, symbol, base, since_us, until_us)
        if len(history.candles):
            await outbox.put_when_room(history_event(f"{life}/{symbol}", history))
        total += len(history.candles)
        _say(f"{symbol}: {number} of {len(chunks)} parts, {total:,} candles to {_utc(until_us)}")
    if not chunks:
        _say(f"{symbol}: all of it is there")
    return total


def _begin(postgres: Postgres, instrument: str) -> int:
    with postgres.connection() as connection:
        row = connection.execute(_FIRST_TIME, (instrument,)).fetchone()
    return time.time_ns() // 1000 if row is None else int(row[0])


def _report(symbol: str, sent: int, total: int) -> None:
    _say(f"{symbol}: {sent:,} of {total:,} trades")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command's progress


def _print(filled: Filled) -> None:
    print(json.dumps(asdict(filled)), flush=True)  # noqa: T201 - what --json is for


def _utc(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


@contextlib.contextmanager
def _ends_on_signals() -> Iterator[None]:
    """Handle SIGTERM like SIGINT: what was sent stays sent, and the next run resumes."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def arguments() -> argparse.ArgumentParser:
    """Return the argument parser; times are read by `parse_us`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=("candles", "trades"), required=True)
    parser.add_argument("--from", dest="from_us", type=parse_us, required=True)
    parser.add_argument("--to", dest="to_us", type=parse_us)
    parser.add_argument("--json", action="store_true", help="print one JSON object a symbol")
    return parser


def main() -> int:
    """Command line."""
    options = arguments().parse_args()
    configure_logging(os.environ)
    try:
        settings = Settings.from_env(os.environ)
    except SettingsError as error:
        return _failed(str(error))
    if not settings.database_url:
        return _failed("DATABASE_URL is needed: it says what is there already")
    sink = bound_sink("/kandle/backfill")
    try:
        with _ends_on_signals():
            done = _print if options.json else lambda filled: None
            asyncio.run(backfill(settings, sink, options.by, options.from_us, options.to_us, done))
    except KeyboardInterrupt:
        return _failed("stopped: run the same command to resume")
    except (RestError, TransientError) as error:
        return _failed(str(error))
    return 0


def _failed(text: str) -> int:
    _say(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
