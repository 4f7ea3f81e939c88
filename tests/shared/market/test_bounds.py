"""Candles out of bounds are refused before a store is asked."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from shared.errors import PermanentError
from shared.market.bounds import EARLIEST_US, LATEST_US, MAX_NAME_CHARACTERS, check_start
from shared.wire.candle import Candle
from shared.wire.candle_columns import decode_batch, encode_batch

ONE = Decimal(1)
GOOD = Candle("A", "1m", 0, ONE, ONE, ONE, ONE, ONE, ONE, 1, ONE, ONE, 0, 0)


def test_extremes_within_bounds_are_accepted() -> None:
    """The longest instrument name and both ends of the time range are accepted."""
    for start_us in (EARLIEST_US, LATEST_US - 1):
        check_start("bad", "A" * MAX_NAME_CHARACTERS, "1d", start_us)
    assert decode_batch(encode_batch([GOOD])) == [GOOD]


@pytest.mark.parametrize(
    "bad",
    [
        {"instrument": ""},
        {"instrument": "A" * (MAX_NAME_CHARACTERS + 1)},
        {"instrument": "A\0"},
        {"timeframe": "1m.>"},
        {"timeframe": ""},
        {"start_us": LATEST_US},
        {"start_us": EARLIEST_US - 1},
    ],
)
def test_out_of_bounds_is_a_permanent_error(bad: dict[str, object]) -> None:
    """A candle that no key, subject or column can hold is a permanent error."""
    candle = replace(GOOD, **bad)  # type: ignore[arg-type]
    with pytest.raises(PermanentError) as refused:
        decode_batch(encode_batch([candle]))
    assert refused.value.code == "bad_candle_batch"
