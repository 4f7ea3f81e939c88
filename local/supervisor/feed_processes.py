"""Starts and stops bridges of a running platform to match the list of feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass
class FeedKeepers:
    """The bridges of a running platform.

    `running`: feeds by name; `keepers` is the platform's own list and includes its bridges;
    `bridges_of` returns the processes of a feed, `keep` supervises one. `changed` is called after
    each change.
    """

    data_dir: Path
    running: dict[str, FeedChoice]
    keepers: list[Keeper]
    bridges_of: Callable[[FeedChoice], list[Component]]
    keep: Callable[[Component], Keeper]
    changed: Callable[[], object]
    notice: Callable[[str], None]
    _refused: str = ""

    async def follow(self) -> None:
        """Follow the list until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if not feeds_path(self.data_dir).exists():
                self.notice("the list of feeds was removed: what runs stays, and is written anew")
                write_feeds(self.data_dir, list(self.running.values()))
            try:
                requested = {each.name: each for each in read_feeds(self.data_dir)}
            except UsageError as error:
                if str(error) != self._refused:
                    self.notice(f"the feeds stay as they are: {error}")
                self._refused = str(error)
                continue
            self._refused = ""
            for name, feed in list(self.running.items()):
                if requested.get(name) != feed:
                    await self._stop(feed)
            for name, feed in requested.items():
                if name not in self.running:
                    await self._start(feed)

    async def _start(self, feed: FeedChoice) -> None:
        """Start a bridge; a failed start is reported and not retried."""
        self.running[feed.name] = feed
        for component in self.bridges_of(feed):
            keeper = self.keep(component)
            self.keepers.append(keeper)
            try:
                await keeper.start()
            except (PlatformError, OSError) as error:
                self.notice(f"{feed} cannot start: {error}")
                continue
            self.notice(f"{feed} is started")
        self.changed()

    async def _stop(self, feed: FeedChoice) -> None:
        """Stop a bridge after it has handed over what it holds."""
        del self.running[feed.name]
        variables = feed.environment.items()
        keepers = [each for each in self.keepers if variables <= each.component.environment.items()]
        for keeper in keepers:
            await keeper.stop(patience_s(Kind.SOURCE, _STOP_WITHIN_S))
            self.keepers.remove(keeper)
        self.notice(f"{feed} is stopped")
        self.changed()
