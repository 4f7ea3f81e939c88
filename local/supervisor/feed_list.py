"""Feeds of `--feed`, and of a running instance: `run/feeds.json`, edited by `kandle feed`."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.errors import UsageError
from local.instance import write_json
from shared.sources import feed_choice
from shared.sources.feed_choice import FeedChoice

HISTORY_S = "HISTORY_S"
"""The variable with the length of history that a bridge loads first, in seconds."""
Feeds = tuple[FeedChoice, ...]


def parse_feeds(texts: Sequence[str]) -> tuple[FeedChoice, ...]:
    """Read `binance:BTCUSDT,ETHUSDT`, `ccxt:bybit:BTC/USDT` and the like. Raises UsageError."""
    try:
        return feed_choice.parse_feeds(texts)
    except ValueError as error:
        raise UsageError(f"--feed: {error}") from None


def parse_feed(text: str) -> FeedChoice:
    """Parse one feed. Raises UsageError that lists the known ones."""
    (feed,) = parse_feeds([text])
    return feed


def feeds_path(data_dir: Path) -> Path:
    """Path of the list while the instance runs."""
    return data_dir / "run" / "feeds.json"


def read_feeds(data_dir: Path) -> Feeds:
    """Return the feeds. Raises UsageError if the list cannot be read."""
    path = feeds_path(data_dir)
    try:
        texts = json.loads(path.read_text())
        return parse_feeds([str(each) for each in texts])
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None


def write_feeds(data_dir: Path, feeds: Sequence[FeedChoice]) -> None:
    """Replace the list atomically."""
    write_json(feeds_path(data_dir), [str(each) for each in feeds])


def change_feeds(data_dir: Path, change: Callable[[Feeds], Feeds]) -> Feeds:
    """Change the list, one command at a time; return it. Raises UsageError."""
    with _one_at_a_time(data_dir):
        feeds = change(read_feeds(data_dir))
        write_feeds(data_dir, feeds)
        return feeds


def with_feed(feeds: Feeds, feed: FeedChoice) -> Feeds:
    """Add a feed, or its symbols to the feed of that name. Raises UsageError if nothing is new."""
    merged = {each.name: each for each in feeds}
    existing = merged.get(feed.name)
    symbols = feed.symbols
    if existing is not None:
        symbols = tuple(dict.fromkeys((*existing.symbols, *feed.symbols)))
        if symbols == existing.symbols or not existing.symbols:
            raise UsageError(f"{feed} is there already: {existing}")
    merged[feed.name] = FeedChoice(feed.name, symbols)
    return parse_feeds([str(each) for each in merged.values()])


def without_feed(feeds: Feeds, feed: FeedChoice) -> Feeds:
    """Remove a feed, or some of its symbols. Raises UsageError if it is not in the list."""
    existing = next((each for each in feeds if each.name == feed.name), None)
    if existing is None or not set(feed.symbols) <= set(existing.symbols):
        names = ", ".join(map(str, feeds)) or "none"
        raise UsageError(f"there is no feed {feed}; the feeds are: {names}")
    remaining = tuple(each for each in existing.symbols if each not in feed.symbols)
    changed = (FeedChoice(feed.name, remaining),) if feed.symbols and remaining else ()
    return tuple(each for each in feeds if each.name != feed.name) + changed


@contextmanager
def _one_at_a_time(data_dir: Path) -> Iterator[None]:
    with (data_dir / "run" / "feeds.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
