"""Findings of a detector as columns, before filtering by confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.analysis.candle_series import Floats, Ints


@dataclass(frozen=True)
class Findings:
    """k findings; every column has shape [k].

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
