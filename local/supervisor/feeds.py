"""What `--feed` asks for: an exchange, and its symbols."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from local.errors import UsageError

FEED = "FEED"
"""The variable by which a Deployment says that it bridges a feed, and which one."""


HISTORY_S = "HISTORY_S"
"""The variable that tells a bridge how much of the past to begin with, in seconds."""


@dataclass(frozen=True)
class FeedChoice:
    """A feed; without symbols the bridge's own default, or what the server sends."""

    name: str
    symbols: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What a bridge of this feed is told."""
        if not self.symbols:
            return {FEED: self.name}
        return {FEED: self.name, f"{self.name.upper()}_SYMBOLS": ",".join(self.symbols)}


def parse_feeds(texts: Sequence[str]) -> tuple[FeedChoice, ...]:
    """Read `binance:BTCUSDT,ETHUSDT` and the like. Raises UsageError."""
    feeds: dict[str, FeedChoice] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        symbols = tuple(part for each in rest.split(",") if (part := each.strip()))
        if re.fullmatch(r"[a-z][a-z0-9]*", name) is None or (colon and not symbols):
            raise UsageError(
                f"--feed: {text!r} is not NAME or NAME:SYMBOL,..., such as binance:BTCUSDT,ETHUSDT"
            )
        if name in feeds:
            raise UsageError(f"--feed: {name} is asked for twice: name its symbols in one")
        feeds[name] = FeedChoice(name, symbols)
    return tuple(feeds.values())
