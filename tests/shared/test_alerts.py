"""Rules of alerts: what is one, what is none and why."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.alerts.event import checked_sink
from shared.alerts.grammar import RuleError
from shared.alerts.rule import Rule


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("BTC-USD close > 75000", "BTC-USD close > 75000 on 1m"),
        ("  XRP/ETH   low  <=  0.00150  on 5m ", "XRP/ETH low <= 0.0015 on 5m"),
        ("A pattern double_top", "A pattern double_top on 1m"),
        ("on close > -1 on 1h", "on close > -1 on 1h"),
    ],
)
def test_a_rule_has_one_canonical_form(text: str, canonical: str) -> None:
    rule = Rule.parse(text)
    assert rule.text() == canonical
    assert Rule.parse(canonical) == rule


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a rule is SYMBOL"),
        ("BTC-USD close > 75000 extra", "a rule is SYMBOL"),
        ("BTC-USD price > 1", "field 'price' is none of open"),
        ("BTC-USD close => 1", "operator '=>' is none of"),
        ("BTC-USD close > 1e5", "'1e5' is no plain decimal"),
        ("BTC-USD close > nan", "'nan' is no plain decimal"),
        ("BTC-USD close > ٣", "no plain decimal"),
        ("BTC-USD close > 1 on 0m", "timeframe '0m'"),
        ("BTC-USD pattern Double-Top", "no name of a pattern"),
        ("A" * 300 + " close > 1", "longer than"),
    ],
)
def test_what_is_no_rule_is_told_why(text: str, reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("operator", "holds"), [(">", [False, False, True]), (">=", [False, True, True]),
                            ("<", [True, False, False]), ("<=", [True, True, False])]
)  # fmt: skip
def test_numbers_are_compared_exactly(operator: str, holds: list[bool]) -> None:
    """Where floats would all be one."""
    values = [Decimal(text) for text in ("75000", "75000.00000000000001", "75000.00000000000002")]
    rule = Rule.parse(f"A close {operator} 75000.00000000000001")
    assert [rule.holds(value) for value in values] == holds


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "file:///etc/passwd", "x", "http://", "http://user:pass@host/"]
)
def test_a_sink_is_an_http_address(url: str) -> None:
    with pytest.raises(ValueError, match="sink"):
        checked_sink(url)


def test_http_and_https_sinks_are_taken() -> None:
    assert checked_sink("https://hooks.example/x?y=1") == "https://hooks.example/x?y=1"
    assert checked_sink("http://127.0.0.1:9000/") == "http://127.0.0.1:9000/"
