"""Findings of detectors: pattern, position, direction and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.analysis.candle_series import Candles, Floats, Ints
from shared.analysis.detectors.tape import Tape


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern completed by the candle `index` of the input.

    The trigger price is the close of that candle; it is not given here, since the owner of the
    candles has the exact one. `features` are relative numbers (fractions, ratios, counts).
    """

    pattern: str
    """snake_case: `double_top`; the TA-Lib functions as `cdl_engulfing`, `cdl_3inside`."""
    index: int
    """Index of the completing candle in the input."""
    begin_us: int
    """Start of the pattern's first candle."""
    end_us: int
    """Start of its last, the completing candle."""
    direction: int
    """+1 up, -1 down, 0 undecided (a doji)."""
    confidence: float
    """0 to 1, rounded to 4 decimals: how well form, trend and volume fit the definition."""
    features: Mapping[str, float]


@dataclass(frozen=True)
class Findings:
    """k findings, before filtering by confidence; every column has shape [k].

    `name` is an index into `names`, `row` one into the tape's `at` (the completing candles),
    `begin` the place of the first candle on the tape; direction and confidence as in `Finding`.
    """

    names: tuple[str, ...]
    name: Ints
    row: Ints
    begin: Ints
    direction: Ints
    confidence: Floats
    features: Mapping[str, Floats]

    def add_to(
        self,
        by_series: Sequence[list[Finding]],
        tape: Tape,
        series: Sequence[tuple[Candles, int]],
        min_confidence: float = 0.0,
    ) -> None:
        """Append those that are confident enough to the findings of their series."""
        rounded = np.round(self.confidence, 4)
        confident = np.flatnonzero(rounded >= min_confidence)
        row = self.row[confident]
        segment = tape.segment[row]
        end = tape.at[row] + tape.offset[segment]
        begin = self.begin[confident] + tape.offset[segment]
        names = list(self.features)
        columns = [np.round(self.features[name][confident], 6).tolist() for name in names]
        rows = zip(
            self.name[confident].tolist(),
            segment.tolist(),
            begin.tolist(),
            end.tolist(),
            self.direction[confident].tolist(),
            rounded[confident].tolist(),
            *columns,
            strict=True,
        )
        for name, number, begin_index, index, direction, confidence, *values in rows:
            start_us = series[number][0].start_us
            by_series[number].append(
                Finding(
                    pattern=self.names[name],
                    index=index,
                    begin_us=int(start_us[begin_index]),
                    end_us=int(start_us[index]),
                    direction=direction,
                    confidence=confidence,
                    features=dict(zip(names, values, strict=True)),
                )
            )
