"""Check of times ahead of the receiving bridge's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.inputs.columns.rows import Rejected
from shared.inputs.formats import original
from shared.wire.raw_batch import RawBatch
from shared.wire.ticks import Int64s


@dataclass(frozen=True, slots=True)
class ClockRule:
    """A tick may be at most `max_skew_us` ahead of the bridge's clock at its receipt."""

    max_skew_us: int


class Ahead(NamedTuple):
    """Rows too far in the future, and their rejects."""

    rows: NDArray[np.bool_]
    rejected: list[Rejected]


def ahead_of_clock(
    batch: RawBatch, time_us: Int64s, payload: Int64s, line: Int64s, rule: ClockRule
) -> Ahead:
    """Check rows against the clock of the receiving bridge."""
    skew = time_us - batch.receive_time_us[payload]
    ahead = skew > rule.max_skew_us
    return Ahead(
        ahead,
        [
            Rejected(
                int(payload[row]),
                int(line[row]),
                original(batch, int(payload[row]), int(line[row])),
                "time_in_future",
                f"its time is {int(skew[row]) // 1000} ms ahead of the bridge's clock;"
                f" {rule.max_skew_us // 1000} ms are allowed: check the sender's clock",
            )
            for row in np.flatnonzero(ahead).tolist()
        ],
    )
