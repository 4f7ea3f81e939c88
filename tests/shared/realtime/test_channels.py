"""Channels and NATS subjects of the live feed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.realtime import channels as live

SYMBOLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cn")),
    min_size=1,
    max_size=20,
).filter(lambda text: not text.startswith(".") and not text.endswith("."))


@given(SYMBOLS)
@example("SPXW  241227P05000000")
@example("BTC/USDT:USDT")
@example("A.-")
@example("*.>")
def test_every_instrument_has_subjects_that_lead_back(name: str) -> None:
    """Subjects are ASCII tokens without wildcards or blanks, and lead back to their channel."""
    for kind in ("ticks", "candles:1m", "patterns", "alerts", "busts"):
        subject = live.subject_of(f"{kind}:{name}")
        assert live.channel_of(subject) == f"{kind}:{name}"
        assert subject.isascii()
        assert all(token and not set(token) & set("*> \t\r\n") for token in subject.split("."))


def test_the_venue_is_a_token_of_its_own() -> None:
    """The venue is a token of its own, to which NATS clients can subscribe."""
    assert live.subject_of("ticks:BTC-USDT.BINANCE") == "live.ticks.BINANCE.BTC-USDT"
    assert live.subject_of("ticks:AAPL") == "live.ticks.-.AAPL"
    assert live.subject_of("ticks:BRK.B.NYSE") == "live.ticks.NYSE.BRK%2EB"


@pytest.mark.parametrize(
    "channel",
    [
        *("ticks:AAPL", "ticks:*", "candles:1m:AAPL", "candles:*:*", "candles:5m:*"),
        *("patterns:*", "ticks:XRP/ETH", "ticks:a:b"),
    ],
)
def test_a_valid_channel_is_accepted(channel: str) -> None:
    """A valid channel is accepted unchanged."""
    assert live.checked(channel) == channel


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("", "is not a channel"),
        ("ticks", "is not a channel"),
        ("ticks:", "is not a channel"),
        ("quotes:AAPL", "is not a channel"),
        ("candles:AAPL", "is not a channel"),
        ("candles:1x:AAPL", "timeframe '1x'"),
        ("ticks:A\nB", "the symbol holds"),
        ("ticks:BTC*", r"the symbol holds '\*'.*; \* alone stands for all"),
        ("candles:1m:A,B", "the symbol holds ','"),
        ("bars:tick:100:A?", "the symbol holds"),
        ("indicators:rsi:14:1m:A*", "the symbol holds"),
        ("patterns: A", "begins or ends with a blank"),
        ("ticks:" + "A" * 200, "at most 128"),
    ],
)
def test_an_invalid_channel_is_refused(channel: str, why: str) -> None:
    """The error of an invalid channel says what is wrong."""
    with pytest.raises(live.ChannelError, match=why):
        live.checked(channel)


def test_wildcards_that_match_a_channel() -> None:
    """A channel is matched by each of its wildcards and by all of them together."""
    assert list(live.patterns_matching("candles:1m:A")) == [
        *("candles:1m:A", "candles:1m:*", "candles:*:A", "candles:*:*")
    ]
    assert list(live.patterns_matching("ticks:A:B")) == ["ticks:A:B", "ticks:*"]
