from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.feeds.tick import Tick, plain_decimal, plain_symbol

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)


def test_a_line_has_the_six_fields_in_the_order_of_the_input_format() -> None:
    """A tick with every field becomes SYMBOL,PRICE,SIZE,TIME_MS,SIDE,TRADE_ID."""
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
def test_what_a_tick_does_not_state_is_left_empty(tick: Tick, line: bytes) -> None:
    """Fields without a value are empty, and not written at the end of a line."""
    assert tick.line() == line


@given(decimals)
def test_a_decimal_never_changes_its_value_and_never_keeps_an_exponent(value: Decimal) -> None:
    """Whatever way a number is written, the plain text is the same number, without exponent."""
    plain = plain_decimal(str(value))
    assert Decimal(plain) == value
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", plain)


@given(st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True).filter(str.isascii))
def test_a_plain_decimal_is_left_exactly_as_it_stands(text: str) -> None:
    """Trailing and leading zeros are the source's own and stay."""
    assert plain_decimal(text) == text


@pytest.mark.parametrize(
    "text", ["", "NaN", "Infinity", "1,5", "abc", "1e999", "--1", "٣", "1_000", " 1", "1e-200"]
)
def test_what_is_no_finite_decimal_of_a_reasonable_length_is_refused(text: str) -> None:
    """Not-numbers, locale forms and absurd lengths are errors, never zero or a guess."""
    with pytest.raises(ValueError, match=r"decimal number|characters"):
        plain_decimal(text)


@pytest.mark.parametrize("text", ["", "A,B", "A\nB", "A\x00", "A" * 129])
def test_a_symbol_that_would_break_the_line_is_refused(text: str) -> None:
    """A symbol cannot hold a comma or a line break, or it would become other fields."""
    with pytest.raises(ValueError, match=r"empty|comma|characters"):
        plain_symbol(text)
