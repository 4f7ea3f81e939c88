"""The formats of raw batches: how each is parsed, and where its originals are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from functions.normalize.lines import line_at, parse_lines
from functions.normalize.rejected import Rejected
from functions.normalize.rows import Rows
from functions.normalize.tickers import message_at, parse_tickers
from shared.errors import PermanentError
from shared.raw import FORMAT_CSV, FORMAT_TICKER, FORMAT_TICKER_STREAM, RawBatch


class _Format(NamedTuple):
    parse: Callable[[RawBatch], tuple[Rows, list[Rejected]]]
    original: Callable[[RawBatch, int, int], bytes]


_TICKER: Final = _Format(parse_tickers, message_at)
_FORMATS: Final = {
    FORMAT_CSV: _Format(parse_lines, line_at),
    FORMAT_TICKER: _TICKER,
    FORMAT_TICKER_STREAM: _TICKER,
}


def parse(batch: RawBatch) -> tuple[Rows, list[Rejected]]:
    """Return the rows that are ticks, and what is none. Raises PermanentError."""
    if batch.format not in _FORMATS:
        raise PermanentError("unsupported_format", f"format {batch.format} is none of raw.proto")
    return _FORMATS[batch.format].parse(batch)


def original(batch: RawBatch, payload: int, line: int) -> bytes:
    """Return a line or message of a payload as it came."""
    return _FORMATS[batch.format].original(batch, payload, line)
