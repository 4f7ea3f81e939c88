"""Chart pattern shapes, and their confidence from form, size, breakout and volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.analysis.candle_series import Floats, Ints
from shared.analysis.detectors.tape import LOG_UNIT, Tape
from shared.analysis.finding import Findings

BASE: Final = 0.5
FIT, SIZE, BREAK, VOLUME = 0.4, 0.2, 0.2, 0.2
"""Weights of the parts in the second half."""


@dataclass(frozen=True)
class Shape:
    """k chart patterns; every column has shape [k]. Heights and distances are log units.

    `row` is an index into the tape's `at`, `begin` the first candle's place, `fit` how near to the
    ideal form (0 at the limits of the definition, 1 at best), `height` the pattern's, `beyond` how
    far the close is past the level it broke.
    """

    row: Ints
    begin: Ints
    fit: Floats
    height: Ints
    beyond: Ints | Floats


def findings(tape: Tape, pattern: str, direction: int, shape: Shape) -> Findings:
    """Return each completing candle's best shape with its confidence.

    confidence = 0.5 + 0.5 x (0.4 fit + 0.2 size + 0.2 breakout + 0.2 volume), each from 0 to 1:
    size is the height against 8 typical ranges; breakout how far the close is past the level,
    against one typical range; volume the completing candle's against twice the mean of 20 before.
    What the definition requires is met already: that is the first half.
    """
    varying = tape.varies[shape.row]
    row, begin, height = shape.row[varying], shape.begin[varying], shape.height[varying]
    fit, beyond = shape.fit[varying], shape.beyond[varying]
    typical = tape.typical_range[row]
    parts = {
        "fit": np.clip(fit, 0.0, 1.0),
        "size": np.clip(height / (8 * typical), 0.0, 1.0),
        "breakout": np.clip(beyond / typical, 0.0, 1.0),
        "volume": np.clip(tape.volume_ratio[row] / 2, 0.0, 1.0),
    }
    sum_ = (
        FIT * parts["fit"]
        + SIZE * parts["size"]
        + BREAK * parts["breakout"]
        + VOLUME * parts["volume"]
    )
    confidence = BASE + (1 - BASE) * sum_
    order = np.lexsort((-begin, -confidence, row))
    best = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
    features: Mapping[str, Floats] = {
        **{name: part[best] for name, part in parts.items()},
        "height": np.expm1(height[best] * LOG_UNIT),
    }
    return Findings(
        names=(pattern,),
        name=np.zeros(len(best), dtype=np.int64),
        row=row[best],
        begin=begin[best],
        direction=np.full(len(best), direction),
        confidence=confidence[best],
        features=features,
    )
