"""Venues' names become instruments, and instruments become venues' names again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.market.instruments import (
    BINANCE_QUOTES,
    Market,
    Naming,
    Venue,
    parse_exceptions,
    parse_with_venue,
)


@pytest.mark.parametrize(
    ("venue", "original", "instrument"),
    [
        (Venue.BINANCE, "BTCUSDT", "BTC-USDT.BINANCE"),
        (Venue.BINANCE, "BTCFDUSD", "BTC-FDUSD.BINANCE"),
        (Venue.BINANCE, "ETHBTC", "ETH-BTC.BINANCE"),
        (Venue.BINANCE, "USDTTRY", "USDT-TRY.BINANCE"),
        (Venue.BINANCE, "1000SATSUSDC", "1000SATS-USDC.BINANCE"),
        (Venue.BINANCE, "USDT", "USDT.BINANCE"),
        (Venue.BINANCE, "ODDONE", "ODDONE.BINANCE"),
        (Venue.COINBASE, "BTC-USD", "BTC-USD.COINBASE"),
        (Venue.ALPACA, "BRK.B", "BRK.B.ALPACA"),
        (Venue.KRAKEN, "BTC/USD", "BTC-USD.KRAKEN"),
        (Venue.KRAKEN, "ETH/XBT", "ETH-BTC.KRAKEN"),
        ("ccxt:bybit", "BTC/USDT", "BTC-USDT.BYBIT"),
        ("ccxt:bybit", "BTC/USDT:USDT", "BTC-USDT-PERP.BYBIT"),
        ("ccxt:krakenfutures", "BTC/USD:BTC", "BTC-USD-PERP-BTC.KRAKENFUTURES"),
        ("ccxt:bybit", "BTC/USDT:USDT-270326", "BTC-USDT-270326.BYBIT"),
        ("ccxt:okx", "BTC/USD:BTC-270326-60000-C", "BTC-USD-270326-60000-C-BTC.OKX"),
        ("ccxt:bybit", "ETH/USDC:USDC-270326-2500-P", "ETH-USDC-270326-2500-P.BYBIT"),
    ],
)
def test_a_market_is_base_quote_and_venue(venue: str, original: str, instrument: str) -> None:
    """An instrument is base, quote and venue, where Kraken's XBT is BTC.

    Binance's single word is split at the longest known quote.
    """
    assert Naming().instrument(Market(venue, original)) == instrument
    assert (
        Naming(with_venue=False).instrument(Market(venue, original))
        == instrument.rpartition(".")[0]
    )
    if venue.startswith("ccxt:"):
        assert Naming().market(venue, instrument) == Market(venue, original)


def test_a_venue_without_rules_keeps_its_names() -> None:
    """The names of a venue without rules, like the scanner, stay unchanged."""
    assert Naming().instrument(Market("", "AAPL")) == "AAPL"
    assert Naming().market("", "AAPL") == Market("", "AAPL")


def test_an_exception_names_a_market_whole_and_is_reversible() -> None:
    """An exception gives a market its whole name, and leads back to it.

    It is for names that the rules misread and letters that no instrument may have.
    """
    naming = Naming(
        exceptions=parse_exceptions("BINANCE:币安USDT=BIAN-USDT.BINANCE, KRAKEN:A/B=AB")
    )
    market = Market("BINANCE", "币安USDT")
    assert naming.instrument(market) == "BIAN-USDT.BINANCE"
    assert naming.market("BINANCE", "BIAN-USDT.BINANCE") == market
    assert naming.market("KRAKEN", "AB") == Market("KRAKEN", "A/B")


asset = st.from_regex(r"[A-Z0-9]{2,8}", fullmatch=True).filter(lambda a: a not in ("XBT", "XDG"))


@given(base=asset, quote=st.sampled_from(BINANCE_QUOTES), with_venue=st.booleans())
def test_every_name_leads_back_to_its_market(base: str, quote: str, with_venue: bool) -> None:
    """Each instrument leads back to its market, as requests to fill gaps need."""
    naming = Naming(with_venue)
    for market in (
        Market(Venue.BINANCE, base + quote),
        Market(Venue.COINBASE, f"{base}-{quote}"),
        Market(Venue.KRAKEN, f"{base}/{quote}"),
    ):
        assert naming.market(market.venue, naming.instrument(market)) == market


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BTCUSDT=BTC", "is not VENUE:ORIGINAL=INSTRUMENT"),
        ("BINANCE:BTCUSDT", "is not VENUE:ORIGINAL=INSTRUMENT"),
        ("NASDAQ:AAPL=APPLE", "the venue must be one of BINANCE, BINANCE_FUTURES, BYBIT"),
        ("BINANCE:A=X,COINBASE:A=X", "X is named twice"),
    ],
)
def test_a_bad_exception_is_named_in_the_error(text: str, message: str) -> None:
    """The error of a bad exception names the item."""
    with pytest.raises(ValueError, match=message):
        parse_exceptions(text)
    with pytest.raises(ValueError, match="append or drop"):
        parse_with_venue("maybe")
