from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.feeds.tick import Tick, plain_decimal, plain_symbol

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)


def test_a_line_has_the_six_fields_in_the_order_of_the_input_format() -> None:
    """A complete tick is written as SYMBOL,PRICE,SIZE,TIME_MS,SIDE,TRADE_ID."""
    tick = Tick("XRP-ETH", "0.00141342", "23.0", 1570752011620, "sell", "13519807")
    assert tick.line() == b"XRP-ETH,0.00141342,23.0,1570752011620,sell,13519807"


@pytest.mark.parametrize(
    ("tick", "line"),
    [
        (Tick("A", "1"), b"A,1"),
        (Tick("A", "1", "2"), b"A,1,2"),
        (Tick("A", "1", "2", 0), b"A,1,2,0"),
        (Tick("A", "1", "", None, "", "x7"), b"A,1,,,,x7"),
    ],
)
def test_missing_fields_are_empty(tick: Tick, line: bytes) -> None:
    """Missing fields are empty, and not written at the end of a line."""
    assert tick.line() == line


@given(decimals)
def test_a_decimal_is_written_without_exponent(value: Decimal) -> None:
    """Any notation of a number is written with the same value and without an exponent."""
    plain = plain_decimal(str(value))
    assert Decimal(plain) == value
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", plain)


@given(st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True).filter(str.isascii))
def test_a_plain_decimal_is_unchanged(text: str) -> None:
    """A plain decimal is unchanged, with its leading and trailing zeros."""
    assert plain_decimal(text) == text


@pytest.mark.parametrize(
    "text", ["", "NaN", "Infinity", "1,5", "abc", "1e999", "--1", "٣", "1_000", " 1", "1e-200"]
)
def test_invalid_decimals_are_refused(text: str) -> None:
    """NaN, infinity, local formats and very long numbers are refused."""
    with pytest.raises(ValueError, match=r"decimal number|characters"):
        plain_decimal(text)


@pytest.mark.parametrize("text", ["", "A,B", "A\nB", "A\x00", "A" * 129])
def test_a_symbol_that_would_break_the_line_is_refused(text: str) -> None:
    """A symbol with a comma or a line break is refused."""
    with pytest.raises(ValueError, match=r"empty|comma|characters"):
        plain_symbol(text)
