"""Decimals and their texts."""

from __future__ import annotations

from decimal import Decimal, Inexact

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.market.decimals import EXACT, from_mantissa, mantissa_text, to_text


@given(st.integers(-(2**63), 2**63), st.integers(0, 60))
def test_a_decimal_text_reads_back_as_the_same_value(mantissa: int, scale: int) -> None:
    """The text of a decimal is exact, without an exponent, and the same for equal values."""
    value = from_mantissa(mantissa, scale)
    text = to_text(value)
    assert Decimal(text) == value
    assert "E" not in text
    assert text == to_text(from_mantissa(mantissa * 1000, scale + 3))


@given(st.integers(-(2**63), 2**63), st.integers(0, 30))
def test_a_mantissa_is_written_like_its_decimal(mantissa: int, scale: int) -> None:
    """Mantissa and scale give the decimal's text, and their quotient the nearest double."""
    value = from_mantissa(mantissa, scale)
    assert mantissa_text(mantissa, scale) == to_text(value)
    assert mantissa / 10**scale == float(value)


def test_sums_that_would_round_raise() -> None:
    """A sum that needs more digits than allowed raises an error."""
    with pytest.raises(Inexact):
        EXACT.add(Decimal("1e400"), Decimal("1e-400"))
