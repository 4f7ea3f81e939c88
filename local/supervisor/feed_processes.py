"""Starts and stops bridges of a running platform to match the list of feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from local.errors import PlatformError, UsageError
from local.supervisor.component import Component, Kind
from local.supervisor.feed_list import feeds_path, read_feeds, write_feeds
from local.supervisor.restarts import Keeper
from local.supervisor.stopping import patience_s
from shared.sources.feed_choice import FeedChoice

LOOK_S: Final = 0.5
_STOP_WITHIN_S: Final = 20.0


class FeedKeepers:
    """The bridges of a running platform.

    `keepers` is the platform's own list and includes its bridges; `bridges_of` returns the
    processes of a feed, `keep` supervises one. `changed` is called after each change.
    """

    def __init__(
        self,
        data_dir: Path,
        running: Sequence[FeedChoice],
        keepers: list[Keeper],
        bridges_of: Callable[[FeedChoice], list[Component]],
        keep: Callable[[Component], Keeper],
        changed: Callable[[], object],
        notice: Callable[[str], None],
    ) -> None:
        self._data_dir = data_dir
        self._running = {each.name: each for each in running}
        self._keepers = keepers
        self._bridges_of = bridges_of
        self._keep = keep
        self._changed = changed
        self._notice = notice
        self._refused = ""

    async def follow(self) -> None:
        """Follow the list until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not feeds_path(self._data_dir).exists():
                self._notice("the list of feeds was removed: what runs stays, and is written anew")
                write_feeds(self._data_dir, list(self._running.values()))
            try:
                requested = {each.name: each for each in read_feeds(self._data_dir)}
            except UsageError as error:
                if str(error) != self._refused:
                    self._notice(f"the feeds stay as they are: {error}")
                self._refused = str(error)
                continue
            self._refused = ""
            for name, feed in list(self._running.items()):
                if requested.get(name) != feed:
                    await self._stop(feed)
            for name, feed in requested.items():
                if name not in self._running:
                    await self._start(feed)

    async def _start(self, feed: FeedChoice) -> None:
        """Start a bridge; a failed start is reported and not retried."""
        self._running[feed.name] = feed
        for component in self._bridges_of(feed):
            keeper = self._keep(component)
            self._keepers.append(keeper)
            try:
                await keeper.start()
            except (PlatformError, OSError) as error:
                self._notice(f"{feed} is not taken: {error}")
                continue
            self._notice(f"{feed} is taken")
        self._changed()

    async def _stop(self, feed: FeedChoice) -> None:
        """Stop a bridge after it has handed over what it holds."""
        del self._running[feed.name]
        variables = feed.environment.items()
        keepers = [
            each for each in self._keepers if variables <= each.component.environment.items()
        ]
        for keeper in keepers:
            await keeper.stop(patience_s(Kind.SOURCE, _STOP_WITHIN_S))
            self._keepers.remove(keeper)
        self._notice(f"{feed} is taken no more")
        self._changed()
