"""The list of feeds: additions, removals and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.errors import UsageError
from local.supervisor.feed_list import (
    change_feeds,
    feeds_path,
    parse_feed,
    parse_feeds,
    read_feeds,
    with_feed,
    without_feed,
    write_feeds,
)


def texts(data_dir: Path) -> list[str]:
    return [str(each) for each in read_feeds(data_dir)]


def test_feeds_and_their_symbols_are_added_and_removed(tmp_path: Path) -> None:
    """Symbols are added and removed, and a feed ends with its last one."""
    write_feeds(tmp_path, parse_feeds(["binance:BTCUSDT"]))
    for text in ("ccxt:bybit:BTC/USDT:USDT", "binance:ETHUSDT,BTCUSDT"):
        change_feeds(tmp_path, lambda feeds: with_feed(feeds, parse_feed(text)))  # noqa: B023
    assert texts(tmp_path) == ["binance:BTCUSDT,ETHUSDT", "ccxt:bybit:BTC/USDT:USDT"]
    for text in ("binance:BTCUSDT", "ccxt:bybit"):
        change_feeds(tmp_path, lambda feeds: without_feed(feeds, parse_feed(text)))  # noqa: B023
    assert texts(tmp_path) == ["binance:ETHUSDT"]
    change_feeds(tmp_path, lambda feeds: without_feed(feeds, parse_feed("binance:ETHUSDT")))
    assert texts(tmp_path) == []


def test_what_changes_nothing_is_refused(tmp_path: Path) -> None:
    """A change without effect is refused with the current list."""
    write_feeds(tmp_path, parse_feeds(["binance:BTCUSDT", "scanner"]))
    for text in ("binance:BTCUSDT", "scanner", "ccxt:binance:BTC/USDT"):
        with pytest.raises(UsageError, match=r"there already|asked for twice"):
            change_feeds(tmp_path, lambda feeds: with_feed(feeds, parse_feed(text)))  # noqa: B023
    for text in ("kraken", "binance:ETHUSDT"):
        with pytest.raises(UsageError, match="the feeds are: binance:BTCUSDT, scanner"):
            change_feeds(tmp_path, lambda feeds: without_feed(feeds, parse_feed(text)))  # noqa: B023
    assert texts(tmp_path) == ["binance:BTCUSDT", "scanner"]


@pytest.mark.parametrize("text", ["{", "7", json.dumps(["nonsense"])])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """An invalid list is refused, and starts and stops nothing."""
    write_feeds(tmp_path, ())
    feeds_path(tmp_path).write_text(text)
    with pytest.raises(UsageError):
        read_feeds(tmp_path)
