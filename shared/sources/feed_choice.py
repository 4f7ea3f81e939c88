"""Feed options such as `binance:BTCUSDT,ETHUSDT`: exchange and symbols."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.market.instruments import CCXT
from shared.wire.feed_status import FEEDS

FEED: Final = "FEED"
"""The setting that selects a bridge's exchange."""
_VENUE: Final = "CCXT_VENUE"


@dataclass(frozen=True)
class FeedChoice:
    """A feed: `binance`, or `ccxt:bybit`.

    Without symbols: the bridge's default, or what the server sends.
    """

    name: str
    symbols: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of this feed's bridge."""
        kind, _, venue = self.name.partition(":")
        settings = {FEED: kind, **({_VENUE: venue} if venue else {})}
        if self.symbols:
            settings[f"{kind.upper()}_SYMBOLS"] = ",".join(self.symbols)
        return settings

    @property
    def process(self) -> str:
        """Suffix of its process and log names."""
        return self.name.replace(":", "-")

    def __str__(self) -> str:
        """Format it."""
        return f"{self.name}:{','.join(self.symbols)}" if self.symbols else self.name


def parse_feeds(texts: Sequence[str]) -> tuple[FeedChoice, ...]:
    """Parse `binance:BTCUSDT,ETHUSDT`, `ccxt:bybit:BTC/USDT` and the like. Raises ValueError."""
    feeds: dict[str, FeedChoice] = {}
    for text in texts:
        feed = parse_feed(text)
        exchange = feed.name.removeprefix(f"{CCXT}:")  # the same instruments, natively or by ccxt
        if exchange in feeds:
            raise ValueError(f"{exchange} is asked for twice: name its symbols in one")
        feeds[exchange] = feed
    return tuple(feeds.values())


def parse_feed(text: str) -> FeedChoice:
    """Parse one feed. Raises ValueError with the known ones."""
    name, colon, rest = text.partition(":")
    if name not in FEEDS:
        raise ValueError(
            f"{text!r} is not NAME or NAME:SYMBOL,..., such as binance:BTCUSDT,ETHUSDT:"
            f" the names are {', '.join(FEEDS)}"
        )
    if name == CCXT:
        venue, colon, rest = rest.partition(":")
        _check_venue(text, venue)
        name = f"{CCXT}:{venue}"
    symbols = tuple(part for each in rest.split(",") if (part := each.strip()))
    if colon and not symbols:
        raise ValueError(f"{text!r} names no symbol: leave the last colon out, or name one")
    return FeedChoice(name, symbols)


def _check_venue(text: str, venue: str) -> None:
    """Check a venue against the installed ccxt without importing it, which takes seconds."""
    spec = importlib.util.find_spec(CCXT)
    if spec is None or spec.origin is None:
        raise ValueError(f"{text!r} needs ccxt: pip install 'kandle[exchanges]'")
    venues = sorted(each.stem for each in (Path(spec.origin).parent / "pro").glob("[a-z]*.py"))
    if venue not in venues:
        supported = ", ".join(venues)
        raise ValueError(f"{text!r} is not ccxt:VENUE:SYMBOL,... with a venue of {supported}")
