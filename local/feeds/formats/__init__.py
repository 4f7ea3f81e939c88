"""Recorded ticks: one module for each file format, and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from local.feeds.formats import binance_ws, csv_lines, freqtrade, lean_equity, opening
from local.feeds.formats.errors import BadRowError, FeedFileError, UnknownFormatError
from local.feeds.formats.opening import Reading
from local.feeds.tick import Tick

__all__ = [
    "FORMATS",
    "BadRowError",
    "FeedFileError",
    "Format",
    "Reading",
    "UnknownFormatError",
    "format_of",
]


class Reader(Protocol):
    """Reads a file as ticks; fills `reading` as it goes. Raises FeedFileError."""

    def __call__(
        self, path: Path, symbol: str | None = None, reading: Reading | None = None
    ) -> Iterator[Tick]: ...


class Matcher(Protocol):
    """Tells by a file's name and first (uncompressed) bytes whether it has a format."""

    def __call__(self, path: Path, head: bytes) -> bool: ...


class Format(NamedTuple):
    """One file format."""

    name: str
    about: str
    read: Reader
    matches: Matcher


# In the order of guessing: the most particular first, the lines that look like anything last.
FORMATS: Final = (
    Format(
        "lean-equity",
        "US equity trade ticks of QuantConnect Lean (spy-20131007-tick.zip)",
        lean_equity.read,
        lean_equity.matches,
    ),
    Format(
        "freqtrade",
        "trades downloaded by freqtrade (XRP_ETH-trades.json.gz)",
        freqtrade.read,
        freqtrade.matches,
    ),
    Format(
        "binance-ws",
        "recorded Binance WebSocket messages, one `<time> <json>` a line",
        binance_ws.read,
        binance_ws.matches,
    ),
    Format(
        "csv",
        "SYMBOL,PRICE[,SIZE[,TIME_MS[,SIDE[,TRADE_ID]]]] lines, header optional",
        csv_lines.read,
        csv_lines.matches,
    ),
)


def format_of(path: Path, name: str | None = None) -> Format:
    """Return the format called `name`, or guess it from the file's name and first bytes.

    Raises FeedFileError: the file cannot be read (UnknownFormatError: no format fits it).
    """
    if name is not None:
        for known in FORMATS:
            if known.name == name:
                return known
        raise UnknownFormatError(f"unknown format {name!r}; the formats are {_names()}")
    start = opening.head(path)
    for known in FORMATS:
        if known.matches(path, start):
            return known
    raise UnknownFormatError(
        f"{path}: cannot tell its format; give it with --format, one of {_names()}"
    )


def _names() -> str:
    return ", ".join(sorted(known.name for known in FORMATS))
