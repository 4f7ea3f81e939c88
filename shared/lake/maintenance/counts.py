"""Counts of a maintenance round, carried to the process whose metrics are scraped."""

from __future__ import annotations

import json
from typing import Final

from prometheus_client import Counter

from shared.runtime import metrics

_CARRIED: Final[tuple[Counter, ...]] = (
    metrics.LAKE_TICKS,
    metrics.LAKE_COMPACTED,
    metrics.LAKE_DROPPED,
    metrics.LAKE_DIFFERS,
)


def told() -> str:
    """Return this process's counts as JSON: [counter, labels, value] each."""
    return json.dumps(
        [
            [number, sample.labels, sample.value]
            for number, counter in enumerate(_CARRIED)
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        ]
    )


def add(told_before: str | bytes) -> None:
    """Add the counts of another process to this one's. Raises ValueError for other input."""
    for number, labels, value in json.loads(told_before):
        counter = _CARRIED[number]
        (counter.labels(**labels) if labels else counter).inc(value)
