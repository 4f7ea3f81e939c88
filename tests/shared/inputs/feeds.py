"""Batches as a bridge sends them, recorded captures, and parsed rows as decimals."""

from __future__ import annotations

import gzip
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from shared.inputs.columns.parsed import FeedRules, Parsed
from shared.inputs.formats import parse
from shared.wire.raw_batch import RawBatch

NOW_US = 1_800_000_000_000_000
_LINE = re.compile(rb"([0-9.]+):?\s+(?=[{\[])")


class Capture(NamedTuple):
    """Messages of a recorded feed, each with the recorder's clock in microseconds."""

    messages: list[bytes]
    times_us: list[int]


def capture(path: Path) -> Capture:
    """Read `<local time> <message>` lines; the time is in ns or in seconds with a point."""
    found = Capture([], [])
    with gzip.open(path) as lines:
        for line in lines:
            if stamp := _LINE.match(line):
                time = Decimal(stamp.group(1).decode())
                found.messages.append(line[stamp.end() :].strip())
                found.times_us.append(int(time * 10**6 if b"." in stamp.group(1) else time // 1000))
    return found


def batch(format_: int, messages: list[bytes], times_us: list[int] | None = None) -> RawBatch:
    return RawBatch.of(format_, "feed-1", 0, messages, times_us or NOW_US)


def parsed(format_: int, *messages: bytes, rules: FeedRules | None = None) -> Parsed:
    return parse(batch(format_, list(messages)), rules or FeedRules())


class TradeRow(NamedTuple):
    instrument: str
    price: Decimal
    size: Decimal
    time_us: int
    side: int
    trade_id: int
    place: tuple[int, int]


class QuoteRow(NamedTuple):
    instrument: str
    bid: Decimal
    ask: Decimal
    bid_size: Decimal | None
    ask_size: Decimal | None
    time_us: int
    place: tuple[int, int]


def trades(found: Parsed) -> list[TradeRow]:
    """All ticks, as exact decimals."""
    rows = found.rows
    return [
        TradeRow(
            rows.names[rows.symbol[i]],
            Decimal(int(rows.price[i])).scaleb(-int(rows.price_scale[i])),
            Decimal(int(rows.size[i])).scaleb(-int(rows.size_scale[i])),
            int(rows.time_us[i]),
            int(rows.side[i]),
            int(rows.trade_id[i]),
            (int(rows.payload[i]), int(rows.line[i])),
        )
        for i in range(len(rows))
    ]


def quotes(found: Parsed) -> list[QuoteRow]:
    """All quotes, as exact decimals."""
    rows = found.quotes

    def size(mantissa: int, i: int) -> Decimal | None:
        return None if mantissa < 0 else Decimal(mantissa).scaleb(-int(rows.size_scale[i]))

    return [
        QuoteRow(
            rows.names[rows.symbol[i]],
            Decimal(int(rows.bid[i])).scaleb(-int(rows.price_scale[i])),
            Decimal(int(rows.ask[i])).scaleb(-int(rows.price_scale[i])),
            size(int(rows.bid_size[i]), i),
            size(int(rows.ask_size[i]), i),
            int(rows.time_us[i]),
            (int(rows.payload[i]), int(rows.line[i])),
        )
        for i in range(len(rows))
    ]


def codes(found: Parsed) -> list[tuple[int, str]]:
    """Payload and code of each reject, in order."""
    return sorted((reject.payload, reject.code) for reject in found.rejected)
