"""Counters of processes that restart: read from Prometheus text, summed over restarts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

_LABEL = re.compile(r'[a-z_]+="((?:[^"\\]|\\.)*)"')
_SAMPLE = re.compile(r"^(\w+(?:\{.*\})?)\s+([0-9.eE+-]+|NaN|[+-]Inf)(?:\s+\d+)?$")


def samples_of(text: str, prefix: str) -> dict[str, float]:
    """Read the samples of Prometheus text with this prefix, by name and labels."""
    lines = (line for line in text.splitlines() if line.startswith(prefix))
    return {match[1]: float(match[2]) for match in map(_SAMPLE.match, lines) if match}


class Counters:
    """Totals by name, over all label values and restarts."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], float] = {}
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._by_series: defaultdict[str, float] = defaultdict(float)

    def observe(self, process: str, samples: Mapping[str, float]) -> None:
        """Add the increase since the last sample of `process`.

        A value below the last one is a reset to zero, as in Prometheus. The first value counts in
        full, since processes start together with their supervisor.
        """
        for series, value in samples.items():
            last = self._last.get((process, series), 0.0)
            increase = value - last if value >= last else value
            self._totals[series.partition("{")[0]] += increase
            self._by_series[series] += increase
            self._last[process, series] = value

    def total(self, name: str) -> int:
        """Return the total of a counter; 0 if unknown."""
        return round(self._totals[name])

    def by_labels(self, name: str) -> dict[tuple[str, ...], int]:
        """Return the totals of a counter by the values of its labels, the largest first."""
        totals = {
            tuple(_LABEL.findall(labels)): round(total)
            for series, total in self._by_series.items()
            for counter, _, labels in [series.partition("{")]
            if counter == name and total
        }
        return dict(sorted(totals.items(), key=lambda each: -each[1]))
