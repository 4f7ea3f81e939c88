"""All feeds of a list in one process, which follows changes of the file.

`python -m functions.exchange_bridge.feeds`: in a cluster the file comes from a ConfigMap.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from functions.exchange_bridge.bridge import run
from functions.exchange_bridge.settings import Settings
from shared.adapter.process import on_stop, run_process, serve_metrics
from shared.adapter.tracing import Tracing
from shared.runtime import metrics
from shared.runtime.settings import FromEnvironment, SettingsError, integer, parsed, text
from shared.sources.feed_choice import FeedChoice, parse_feeds

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
RESTART_S: Final = 5.0
"""Pause before a failed feed is restarted."""
MAX_BYTES: Final = 1024 * 1024
"""The size limit of a ConfigMap."""


def read_list(path: Path) -> tuple[FeedChoice, ...]:
    """Read feeds, one per line; `#` starts a comment. Raises OSError, ValueError."""
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    lines = (line.partition("#")[0].strip() for line in text.decode().splitlines())
    return parse_feeds([line for line in lines if line])


@dataclass(slots=True)
class _Running:
    feed: FeedChoice
    task: asyncio.Task[None]
    stopping: asyncio.Event


@dataclass(slots=True)
class Feeds:
    """The feeds of the list at `path`, with the settings of `mapping` besides their own.

    A feed whose line changes is drained and restarted; the others continue. A missing or unreadable
    list changes nothing. A changed list is applied once two reads agree: a file that is being
    written may be truncated.
    """

    path: Path
    mapping: Mapping[str, str]
    spans: Tracing
    _running: dict[str, _Running] = field(default_factory=dict)
    _reported: str = ""
    _seen: tuple[FeedChoice, ...] | None = None

    async def follow(self, stopping: asyncio.Event) -> None:
        """Follow the list until `stopping` is set; then end every feed."""
        while not stopping.is_set():
            await self._look()
            await _at_most(stopping, LOOK_S)
        await asyncio.gather(*(self._end(each) for each in list(self._running.values())))

    async def _look(self) -> None:
        try:
            choices = await asyncio.to_thread(read_list, self.path)
        except (OSError, ValueError) as error:
            if str(error) != self._reported:
                log.error(
                    "the feed list cannot be read, keeping the current feeds: %s: %s",
                    self.path,
                    error,
                )
            self._reported = str(error)
            return
        self._reported = ""
        seen, self._seen = self._seen, choices
        if seen is not None and choices != seen:
            return
        configured = {each.name: each for each in choices}
        changed = [r for r in self._running.values() if configured.get(r.feed.name) != r.feed]
        await asyncio.gather(*(self._end(each) for each in changed))
        for feed in configured.values():
            if feed.name not in self._running:
                stopping = asyncio.Event()
                task = asyncio.create_task(self._run(feed, stopping))
                self._running[feed.name] = _Running(feed, task, stopping)

    async def _end(self, running: _Running) -> None:
        running.stopping.set()
        await running.task
        del self._running[running.feed.name]
        for gauge in (metrics.FEED_UP, metrics.FEED_SKEW, metrics.GAPS_OPEN):
            gauge.remove(running.feed.name)
        log.info("%s is stopped", running.feed)

    async def _run(self, feed: FeedChoice, stopping: asyncio.Event) -> None:
        """Run a feed until it is stopped; a failed one is restarted and affects no other."""
        while not stopping.is_set():
            log.info("%s is started", feed)
            metrics.FEED_UP.labels(feed.name).set(0)
            try:
                environment = {**self.mapping, **feed.environment}
                # In a thread: ccxt takes seconds to import.
                settings = await asyncio.to_thread(Settings.from_env, environment)
                await run(settings, self.spans, stopping)
            except SettingsError as error:
                log.error("%s cannot start: %s", feed, error)
                await stopping.wait()
            except Exception:
                log.exception("%s failed and restarts in %g s", feed, RESTART_S)
                await _at_most(stopping, RESTART_S)


async def _at_most(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@dataclass(frozen=True)
class ListSettings(FromEnvironment):
    """Settings of the process; each feed has its own."""

    path: Path = parsed("FEED_LIST", "/etc/kandle/feeds/feeds", Path)
    metrics_host: str = text("METRICS_HOST", "127.0.0.1")
    metrics_port: int = integer("METRICS_PORT", 9090, 1, 65_535)


async def serve(settings: ListSettings, spans: Tracing) -> None:
    """Run all feeds until SIGTERM or SIGINT. Raises OSError."""
    stopping = asyncio.Event()
    on_stop(stopping.set)
    serve_metrics(settings.metrics_host, settings.metrics_port)
    await Feeds(settings.path, os.environ, spans).follow(stopping)


if __name__ == "__main__":
    run_process("exchange-bridge", ListSettings, serve)
