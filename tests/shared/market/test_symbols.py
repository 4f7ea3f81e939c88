"""Accepted instrument names; names that a store, a URL or a reader would confuse are refused."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.market.symbols import check_symbol

FIELD = [
    *("^GSPC", "EURUSD=X", "ES=F", "M&M.NS", "SPXW  241227P05000000", "币安人生USDT", "BRK.B"),
    *(
        "BRK/B",
        "BTC/USDT:USDT",
        "/ES",
        "ES1!",
        "@ES#C",
        "$SPX",
        "005930.KS",
        "O:SPY241220C00600000",
    ),
    *(
        "AAPL US Equity",
        "Ä-ÖL",
        "🐸USDT",
        "L" * 64,
        "XBT_USD",
        "BTC-27DEC24-100000-C",
        "600519",
        "A+",
    ),
]


@pytest.mark.parametrize("name", FIELD)
def test_common_symbols_are_accepted(name: str) -> None:
    """Common symbols are accepted unchanged and survive a URL."""
    assert check_symbol(name) == name
    assert unquote(quote(name, safe="")) == name


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("", "is empty"),
        ("2025-01-02", "reads as a time"),
        ("2025-01-02 04:00:00.123", "reads as a time"),
        ("2025/01/02T04:00:00Z", "reads as a time"),
        ("20250101 170014603", "reads as a time"),
        ("02.01.2025 10:00:00", "reads as a time"),
        (" A", "write 'A'"),
        ("A\n", "write 'A'"),
        ("A\x00B", "holds"),
        ("A\u200bB", "ZERO WIDTH SPACE"),
        ("A\u202eB", "leave it out"),
        ("A\xa0B", "NO-BREAK SPACE"),
        ("\uff22\uff34\uff23", "looks like 'BTC'"),
        ("e\u0301", "looks like 'é'"),
        ("\u212b", "looks like"),
        ("A,B", "holds ','"),
        ("A*", "holds"),
        ("a//b", "beside a slash"),
        ("../a", "beside a slash"),
        ("A" * 65, "65 bytes"),
        ("币" * 22, "66 bytes"),
        ("\ufffd", "U\\+FFFD"),
        ("\ud800", "U\\+D800"),
    ],
)
def test_a_refused_symbol_names_the_fix(name: str, fix: str) -> None:
    """Controls, invisible characters, compatibility forms and separators are refused with a fix."""
    with pytest.raises(ValueError, match=fix):
        check_symbol(name)


@given(st.text(max_size=20))
def test_no_two_instruments_look_alike_by_normalization(name: str) -> None:
    """An accepted name is its own compatibility form, printable and without separators."""
    try:
        check_symbol(name)
    except ValueError:
        return
    assert unicodedata.normalize("NFKC", name) == name
    assert name.isprintable()
    assert not set(name) & set(",;\"'\\`<>{}|*?%")
