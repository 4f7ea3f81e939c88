"""Parsing of `--feed`, with errors as for other options."""

from __future__ import annotations

from collections.abc import Sequence

from local.errors import UsageError
from shared.sources import feed_choice
from shared.sources.feed_choice import FeedChoice

HISTORY_S = "HISTORY_S"
"""The variable that tells a bridge how much of the past to begin with, in seconds."""


def parse_feeds(texts: Sequence[str]) -> tuple[FeedChoice, ...]:
    """Read `binance:BTCUSDT,ETHUSDT`, `ccxt:bybit:BTC/USDT` and the like. Raises UsageError."""
    try:
        return feed_choice.parse_feeds(texts)
    except ValueError as error:
        raise UsageError(f"--feed: {error}") from None


def parse_feed(text: str) -> FeedChoice:
    """Read one feed. Raises UsageError that says what is known."""
    (feed,) = parse_feeds([text])
    return feed
