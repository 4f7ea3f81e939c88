"""Exchange bridge: one feed's messages to K_SINK as raw batches, with its gaps and status.

A separate process, since it serves no requests: `python -m functions.exchange_bridge.bridge`;
`python -m functions.exchange_bridge.feeds` runs all feeds of a list.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from functions.exchange_bridge.connections.backoff import Backoff
from functions.exchange_bridge.connections.ccxt_connection import CcxtConnection
from functions.exchange_bridge.connections.connection import Connection, WebSocketConnection
from functions.exchange_bridge.connections.feed import Feed
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.past.gaps import Gaps
from functions.exchange_bridge.past.resume_position import resume
from functions.exchange_bridge.past.venue_history import History
from functions.exchange_bridge.settings import Settings
from functions.exchange_bridge.stall_detection import is_behind, poll_silent
from functions.exchange_bridge.status import Reporter
from shared.adapter.process import bound_sink, on_stop, run_process, serve_metrics
from shared.adapter.tracing import Tracing
from shared.errors import TransientError
from shared.realtime.watchlist import Watched, Watchlist
from shared.runtime import metrics
from shared.runtime.tasks import end
from shared.sources.batcher import Batcher, new_source
from shared.sources.outbox import Outbox
from shared.stores.postgres import Postgres
from shared.stores.redis import connect

log = logging.getLogger(__name__)

TICK_S: Final = 0.005
SOURCE: Final = "/kandle/exchange-bridge"


async def serve(settings: Settings, tracing: Tracing) -> None:
    """Run the feed until SIGTERM or SIGINT, then drain. Raises OSError."""
    stopping = asyncio.Event()
    on_stop(stopping.set)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    await run(settings, tracing, stopping)


async def run(settings: Settings, tracing: Tracing, stopping: asyncio.Event) -> None:
    """Run the feed until `stopping` is set, then drain."""
    exchange, sink = settings.exchange, bound_sink(SOURCE)
    outbox = Outbox(
        sink,
        max_bytes=settings.buffer_bytes,
        sent=metrics.FEED_SENT,
        buffered=metrics.FEED_BUFFERED,
        tracing=tracing,
    )
    source = new_source(exchange.name)
    watched = _watched(settings)
    intake = Intake(
        exchange,
        Batcher(source, settings.batch, exchange.format),
        Health(settings.quiet_us),
        outbox.put,
        watched.selects if watched is not None else lambda symbol: True,
        has_resumed=not settings.database_url,
    )

    gaps = Gaps(intake, outbox, settings.gap_grace_s, settings.backfill_max)
    status_sink = bound_sink(SOURCE)
    reporter = Reporter(
        intake, outbox, status_sink, source, settings.report_s, lambda: gaps.unreported
    )

    def opened() -> Connection:
        behind = partial(is_behind, intake, settings.gap_grace_s)
        shared = (settings.timeouts, intake.take, behind, intake.connected)
        if isinstance(exchange, CcxtVenue):
            return CcxtConnection(exchange, *shared)
        return WebSocketConnection(exchange, *shared, settings.max_message_bytes)

    feed = Feed(exchange, opened, intake.health, Backoff(settings.longest_pause_s))
    postgres = Postgres(settings.database_url, size=1) if settings.database_url else None

    def send_due() -> None:
        if not outbox.is_busy:
            intake.flush()

    work = [feed.run(), gaps.fill(), reporter.run(), _each(TICK_S, send_due)]
    work.append(_each(20 * TICK_S, gaps.look))
    if exchange.symbols:
        work.append(poll_silent(intake, settings.listing_s, settings.gap_grace_s, feed.reopen))
    if postgres is not None:
        history = History(intake, postgres, outbox, source, settings.history_us)
        work.append(_begin(postgres, intake, history))
    if watched is not None:
        work.append(_refreshed(watched))
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await _until_stopped(stopping, tasks)
        intake.flush(due_only=False)
        gaps.look()
        lost = await outbox.close(settings.drain_s)
        reporter.settle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await reporter.publish(reporter.status())
        if lost:
            log.error("%d messages were not accepted within %d s", lost, settings.drain_s)
    except BaseException:
        await outbox.close(0)
        raise
    finally:
        await status_sink.close()
        await exchange.rest.close()
        if postgres is not None:
            postgres.close()


async def _until_stopped(stopping: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the stop. Raises the exception of any task, so that the process restarts."""
    stopped = asyncio.create_task(stopping.wait())
    try:
        pending: set[asyncio.Task[None]] = set(tasks)
        while not stopped.done():
            done, _ = await asyncio.wait({stopped, *pending}, return_when=asyncio.FIRST_COMPLETED)
            for task in done & pending:
                pending.discard(task)
                task.result()
    finally:
        stopped.cancel()
        await end(*tasks)


async def _begin(postgres: Postgres, intake: Intake, history: History) -> None:
    """Resume from the previous run; for new symbols, start with history."""
    new_symbols = await resume(postgres, intake)
    if not history.span_us or not intake.exchange.intervals:
        intake.has_resumed = True
        return
    await history.run(new_symbols)


async def _each(every_s: float, step: Callable[[], None]) -> None:
    while True:
        step()
        await asyncio.sleep(every_s)


def _watched(settings: Settings) -> Watched | None:
    """Return the symbol filter of a feed whose server decides which symbols to send."""
    if settings.exchange.symbols or not settings.redis_url:
        return None
    prefix = settings.stock_list_key.removesuffix("*")
    return Watched(Watchlist(connect(settings.redis_url), prefix))


async def _refreshed(watched: Watched) -> None:
    while True:
        try:
            await asyncio.to_thread(watched.refresh)
        except TransientError as error:
            log.warning("the watchlist cannot be read, keeping the current one: %s", error)
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    run_process("exchange-bridge", Settings, serve)
