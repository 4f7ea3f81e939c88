"""Instrument records of the live state: fixed width, beside the candles."""

from __future__ import annotations

from typing import Final

import numpy as np

INSTRUMENT: Final = np.dtype(
    [
        ("last", "<i8", (5,)),  # order key of the latest price-making tick
        ("first_us", "<i8"),  # earliest event time ever
        ("newest_us", "<i8"),  # furthest event time
        ("watermark_us", "<i8"),  # highest min(event time, receive time)
        ("limit_us", "<i8"),  # closing limit: candles that end by then are closed
        ("floor_us", "<i8"),  # floor: candles that end by then have left the state
        ("received_us", "<i8"),  # wall clock of the last event applied
        ("price", "<i8"),  # of the latest tick: x 10^-price_scale
        ("size", "<i8"),
        ("seen_minute", "<i8"),  # furthest minute that has a trade id,
        ("seen_highest", "<i8"),  # and the highest integer id in it
        ("venue", "<i8"),  # digest of the venue whose integer ids these are
        ("number", "<u4"),  # the instrument's number within its shard
        ("price_scale", "u1"),
        ("size_scale", "u1"),
        ("spare", "V2"),
    ]
)
"""136 bytes. If price or size do not fit, both follow as text."""

NEVER_US: Final = -(2**63)
"""Value of an unset time: no limit, no minute with a trade id."""
