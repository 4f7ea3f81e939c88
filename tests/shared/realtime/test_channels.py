"""Channels and subjects of the live feed."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.market.symbols import check_symbol
from shared.realtime import channels as live

SYMBOLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cn")),
    min_size=1,
    max_size=20,
).filter(lambda text: not text.startswith(".") and not text.endswith("."))


@given(SYMBOLS)
def test_every_symbol_has_a_subject_that_leads_back(symbol: str) -> None:
    """Whatever stands in an instrument, its subjects are plain tokens and name it alone."""
    subjects = {
        live.ticks_subject(symbol): f"ticks:{symbol}",
        live.candles_subject("1m", symbol): f"candles:1m:{symbol}",
        live.patterns_subject(symbol): f"patterns:{symbol}",
    }
    for subject, channel in subjects.items():
        assert live.channel_of(subject) == channel
        assert all(subject.split("."))
        assert not set(subject) & set("*> \t\r\n")


def test_the_venue_is_a_token_of_its_own() -> None:
    """Who subscribes on NATS may ask for a venue."""
    assert live.ticks_subject("BTC-USDT.BINANCE") == "live.ticks.BINANCE.BTC-USDT"
    assert live.ticks_subject("AAPL") == "live.ticks.-.AAPL"
    assert live.ticks_subject("BRK.B.NYSE") == "live.ticks.NYSE.BRK%2EB"


@pytest.mark.parametrize(
    "channel",
    [
        *("ticks:AAPL", "ticks:*", "candles:1m:AAPL", "candles:*:*", "candles:5m:*"),
        *("patterns:*", "ticks:XRP/ETH", "ticks:a:b"),
    ],
)
def test_channels_that_there_are(channel: str) -> None:
    """A channel is taken as it is."""
    assert live.checked(channel) == channel


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ("", "is no channel"),
        ("ticks", "is no channel"),
        ("ticks:", "is no channel"),
        ("quotes:AAPL", "is no channel"),
        ("candles:AAPL", "is no channel"),
        ("candles:1x:AAPL", "timeframe '1x'"),
        ("ticks:A\nB", "printable"),
        ("ticks:" + "A" * 200, "at most 128"),
    ],
)
def test_channels_that_there_are_not(channel: str, why: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(live.ChannelError, match=why):
        live.checked(channel)


def test_what_asks_for_a_channel() -> None:
    """Each wildcard of its own, and together."""
    assert list(live.patterns_matching("candles:1m:A")) == [
        *("candles:1m:A", "candles:1m:*", "candles:*:A", "candles:*:*")
    ]
    assert list(live.patterns_matching("ticks:A:B")) == ["ticks:A:B", "ticks:*"]


@given(st.text(st.characters(codec="utf-8"), max_size=24))
@example("SPXW  241227P05000000")
@example("BTC/USDT:USDT")
@example("A.-")
@example("*.>")
def test_every_instrument_has_subjects_of_its_own_that_nats_can_hold(name: str) -> None:
    """Its name comes back whole, and no part of a subject is a wildcard or a blank."""
    try:
        check_symbol(name)
    except ValueError:
        return
    for channel in (f"ticks:{name}", f"candles:1m:{name}", f"patterns:{name}", f"alerts:{name}"):
        subject = live.subject_of(channel)
        assert live.channel_of(subject) == channel
        assert subject.isascii()
        assert all(token and not set(token) & set("*> \t\r\n") for token in subject.split("."))
