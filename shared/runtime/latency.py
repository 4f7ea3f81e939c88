"""Latency of ticks to a stage, from their receipt by the bridge."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from shared.runtime import metrics


def note_tick_seconds(stage: str, receive_time_us: NDArray[np.int64]) -> None:
    """Record the age of an event's oldest tick when it is done."""
    if len(receive_time_us):
        age_s = time.time() - int(receive_time_us.min()) / 1e6
        metrics.TICK_TO_STAGE.labels(stage).observe(max(0.0, age_s))
