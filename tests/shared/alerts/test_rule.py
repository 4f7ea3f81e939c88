"""Alert rules: parsing, canonical form and refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.event import checked_sink
from shared.alerts.grammar import RuleError
from shared.alerts.rule import Frequency, Kind, Rule


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("BTC-USD close > 75000", "BTC-USD close > 75000 on 1m"),
        ("  XRP/ETH   low  <=  0.00150  on 5m ", "XRP/ETH low <= 0.0015 on 5m"),
        ("A pattern double_top", "A pattern double_top on 1m"),
        ("on close > -1 on 1h", "on close > -1 on 1h"),
        ("A close > 5 each time", "A close > 5 on 1m"),
        ("A rsi:14(1h) crosses 30", "A rsi:14 crosses 30 on 1h"),
        ("A volume > 3 * sma(volume,20)", "A volume > 3 * sma(volume, 20) on 1m"),
        ("A close crosses above ema:50 on 5m once", "A close crosses above ema:50 on 5m once"),
        ("A close > 1 once a bar", "A close > 1 on 1m once a bar"),
        ("A close > close[1]*1.02", "A close > close[1] * 1.02 on 1m"),
        ("A bb:20:2:upper < high", "A bb:20:2:upper < high on 1m"),
        (
            "A macd:macd crosses macd:macdsignal",
            "A macd:12:26:9:macd crosses macd:12:26:9:macdsignal on 1m",
        ),
        (
            "A (close > 5 or close < 3) and pattern hammer",
            "A (close > 5 or close < 3) and pattern hammer on 1m",
        ),
        ("A spread / mid * 10000 > 5 once", "A (spread / mid) * 10000 > 5 once"),
        ("A rsi:14(1h) > ema:9(5m)", "A rsi:14(1h) > ema:9 on 5m"),
        ("A close(1m) > sma:20(1h)", "A close > sma:20(1h) on 1m"),
        (
            "A volume(1h)>3*sma(volume(1h),20)[1] on 5m once",
            "A volume(1h) > 3 * sma(volume(1h), 20)[1] on 5m once",
        ),
        ("A delta>5 or buy_volume > trades", "A delta > 5 or buy_volume > trades on 1m"),
        (
            "A notional > 5 and close > vwap to b,a,b",
            "A notional > 5 and close > vwap on 1m to b, a",
        ),
        ("A spread > 5 once to ops", "A spread > 5 once to ops"),
        ("feed binance stalled once to a , b", "feed binance stalled once to a, b"),
        ("A gap to ops", "A gap to ops"),
        ("A gap", "A gap"),
        ('"SPXW  241227P05" close<1', '"SPXW  241227P05" close < 1 on 1m'),
        ('"A" gap', "A gap"),
        ('"A B"  gap once', '"A B" gap once'),
        ('"feed" bid > 1', '"feed" bid > 1'),
        ("feed binance stalled", "feed binance stalled"),
        ("feed binance gap once", "feed binance gap once"),
    ],
)
def test_a_rule_has_one_canonical_form(text: str, canonical: str) -> None:
    """A rule is stored and shown in one form however it is written."""
    rule = Rule.parse(text)
    assert rule.text() == canonical
    assert Rule.parse(canonical) == rule


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a rule is SYMBOL"),
        ("BTC-USD", "a rule is SYMBOL"),
        ('"A B"', "a SYMBOL with blanks stands in double quotes"),
        ('"A B close > 1', "a SYMBOL with blanks stands in double quotes"),
        ("A close > " + "+".join("1" * 45), "too long once every parenthesis is written: .* words"),
        ("A " + "-" * 60 + "close > 5", "too long once every parenthesis .* longer than 300"),
        ("BTC-USD close > 75000 extra", "position 23, at 'extra': expected the end, and, each"),
        ("BTC-USD price > 1", "position 9: 'price' is none of the fields open"),
        ("BTC-USD close => 1", "position 15, at '=': expected .*crosses"),
        ("BTC-USD close >", "ends too early: expected a field or an indicator, a number"),
        ("BTC-USD close > 1e5", "position 17: '1e5' is not a plain decimal"),
        ("BTC-USD close > nan", "position 17: 'nan' is none of the fields"),
        ("BTC-USD close > ٣", "position 17"),
        ("BTC-USD close > 75,000", "position 19, at ','"),
        ("BTC-USD close > 1 on 0m", "position 22: '0m' timeframe '0m'"),
        (
            "A rsi:14(1h) > ema:9(5m) on 1h",
            "position 29: '1h' is longer than 5m: a rule is of its shortest",
        ),
        ("A close(7m) > close(1h)", "position 21: '1h' is not made of whole candles of 7m"),
        ("A close(60m) > close(1h) on 1m", "position 22: '1h' is as long as 60m"),
        ("A close(5m) > close(15m) and close(1h) > close(4h) and close > close(1d)", "at most 3"),
        ("A close > 1 to Ops", "position 16: 'Ops' is not the name of a target"),
        ("A close > 1 to", "ends too early: expected a field"),
        ("A gap to", "'' is not the name of a target"),
        ("A gap once to a-b", "'a-b' is not the name of a target"),
        ("A close > 1 to " + ", ".join(f"t{n}" for n in range(9)), "'t8' is one too many"),
        ("A spread(1h) > close(1m)", "'spread' is of the latest quote"),
        ("BTC-USD macd > 1", "'macd' has the columns macd:12:26:9:macd, .*: name one"),
        ("BTC-USD rsi:0 > 1", "the period is not from 2"),
        ("BTC-USD foo(close, 3) > 1", "'foo' is not a function: there are sma, ema"),
        ("BTC-USD sma(close, 1000) > 1", "position 20: '1000' is not from 2 to 200"),
        ("BTC-USD close[0] > 1", "position 15: '0' is not from 1"),
        ("BTC-USD pattern Double-Top", "position 23, at '-'"),
        ("BTC-USD pattern Doji", "not the name of a pattern"),
        ("BTC-USD spread > close", "are of the latest quote"),
        ("BTC-USD spread crosses 5", "are of the latest quote.* without crosses"),
        ("BTC-USD gap once a bar", "a state has no bars"),
        ("feed binance", "after feed NAME comes one of live, quiet, stalled"),
        ("feed binance asleep", "after feed NAME comes one of"),
        ("A" * 300 + " close > 1", "longer than 300 characters"),
        ("A " + "(" * 60 + "close" + ")" * 60 + " > 1", "at most 100 words"),
        ("A close > 1\n; DROP", "printable"),
    ],
)
def test_an_invalid_rule_names_the_mistake(text: str, reason: str) -> None:
    """The error of an invalid rule names the wrong part of the text."""
    with pytest.raises(RuleError, match=reason):
        Rule.parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "frequency"),
    [
        ("A close > 1", Kind.CANDLES, Frequency.EACH_TIME),
        ("A close > 1 once a bar", Kind.CANDLES, Frequency.ONCE_A_BAR),
        ("A bid > 1 once", Kind.QUOTE, Frequency.ONCE),
        ("A gap", Kind.GAP, Frequency.EACH_TIME),
        ("feed A gap", Kind.FEED, Frequency.EACH_TIME),
    ],
)
def test_a_rule_has_subject_frequency_and_timeframe(
    text: str, kind: Kind, frequency: Frequency
) -> None:
    """A rule has its subject and frequency, and a timeframe if it is about candles.

    Subjects are candles, a quote, gaps or a feed.
    """
    rule = Rule.parse(text)
    assert (rule.kind, rule.frequency, rule.subject) == (kind, frequency, "A")
    assert bool(rule.timeframe) == (kind is Kind.CANDLES)


_PIECES = st.sampled_from(
    [
        *("close", "rsi:14", "macd", "sma(", "(", ")", "[", "]", ",", "1", "20", "1.5", "1h"),
        *(">", "<=", "+", "-", "*", "/", "crosses", "above", "and", "or", "pattern", "hammer"),
        *("on", "once", "a", "bar", "each", "time", "spread", "gap", ":", "$", "é", "\x00"),
        *("(1h)", "(5m)", "delta", "vwap", "to", "ops"),
    ]
)


@given(st.lists(_PIECES, max_size=40))
def test_any_text_is_a_rule_or_a_rule_error(pieces: list[str]) -> None:
    """Any text is a rule or raises the rule's error.

    The canonical form of a rule is a rule.
    """
    try:
        rule = Rule.parse(" ".join(["A", *pieces]))
    except RuleError:
        return
    assert Rule.parse(rule.text()).text() == rule.text()


@pytest.mark.parametrize(
    "url", ["ftp://x/y", "file:///etc/passwd", "x", "http://", "http://user:pass@host/"]
)
def test_a_sink_is_an_http_address(url: str) -> None:
    """A sink that is no HTTP address is refused."""
    with pytest.raises(ValueError, match="sink"):
        checked_sink(url)


def test_http_and_https_sinks_are_accepted() -> None:
    """HTTP and HTTPS sinks are accepted, with port, path and query."""
    assert checked_sink("https://hooks.example/x?y=1") == "https://hooks.example/x?y=1"
    assert checked_sink("http://127.0.0.1:9000/") == "http://127.0.0.1:9000/"
