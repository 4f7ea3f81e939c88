from __future__ import annotations

import pytest

from local.feeds.tick import Tick, plain_symbol


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


@pytest.mark.parametrize("text", ["", "A,B", "A\nB", "A\x00", "A" * 129])
def test_a_symbol_that_would_break_the_line_is_refused(text: str) -> None:
    """A symbol with a comma or a line break is refused."""
    with pytest.raises(ValueError, match=r"empty|comma|characters"):
        plain_symbol(text)
