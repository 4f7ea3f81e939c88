"""Candles of recorded ticks, made by the pipeline's parser and folds, without a pipeline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from local.feeds.batches import BATCH_LINES, Numbered
from shared.candles.folds import KeyedRecords, merged, rolled_up
from shared.candles.partials import partials
from shared.inputs.assemble import assemble
from shared.inputs.clock import ClockRule
from shared.inputs.columns.parsed import FeedRules
from shared.inputs.formats import parse
from shared.market.timeframes import Timeframe

CandleRow = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
"""Start (us), open, high, low, close, volume."""

_MINUTE_US: Final = 60_000_000
_ANY_TIME: Final = ClockRule(2**62)


def candle_rows(
    lines: Iterable[Sequence[bytes]], timeframe: Timeframe, rejects: Counter[str] | None = None
) -> dict[str, list[CandleRow]]:
    """Return the candles of each symbol from input lines, counting what is not a tick in `rejects`.

    Rows ascend; an interval without ticks has none, nor has one whose ticks count for volume only.
    Ticks of one time are in the order of their integer ids, else of their lines; repeated ones
    count again. Raises ValueError: a tick has no time.
    """
    rejects = Counter() if rejects is None else rejects
    base_us = _MINUTE_US if timeframe.length_us % _MINUTE_US == 0 else timeframe.length_us
    numbers: dict[str, int] = {}
    parts: list[KeyedRecords] = []
    received_us = time.time_ns() // 1000
    for number, batch in enumerate(_batches(lines)):
        raw = Numbered("", "", number, batch).raw_batch(received_us)
        parsed = parse(raw, FeedRules())
        if timeless := np.flatnonzero(parsed.rows.time_us < 0).tolist():
            name = parsed.rows.names[parsed.rows.symbol[timeless[0]]]
            raise ValueError(f"a tick of {name} has no time: no candle is known to hold it")
        rejects.update(each.detail for each in parsed.rejected)
        assembled = assemble(raw, parsed.rows, _ANY_TIME, shards=1)
        for ticks in filter(None, (assembled.ticks, assembled.wide)):
            names = ticks.entries.names
            of_entry = [numbers.setdefault(name, len(numbers)) for name in names]
            parts.append(partials(ticks, base_us).numbered(np.array(of_entry, dtype=np.int64)))
    candles = rolled_up(merged(KeyedRecords.of(parts)), timeframe)
    rows: dict[str, list[CandleRow]] = {}
    for c in candles.columns(timeframe.name, list(numbers)).candles():
        row = (c.start_us, c.open, c.high, c.low, c.close, c.volume)
        rows.setdefault(c.instrument, []).append(row)
    return rows


def _batches(parts: Iterable[Sequence[bytes]]) -> Iterable[list[bytes]]:
    for lines in parts:
        for first in range(0, len(lines), BATCH_LINES):
            yield list(lines[first : first + BATCH_LINES])
