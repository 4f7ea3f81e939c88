"""An exchange's history: candles with its exact decimals, and the seam of its trades."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TypeVar

import pytest

from functions.exchange_bridge.exchange import Exchange, Kline
from functions.exchange_bridge.past import venue_history as history
from functions.exchange_bridge.past.venue_history import (
    columns,
    fetched,
    missing_chunks,
    until_answered,
)
from functions.exchange_bridge.rest import RestError
from functions.exchange_bridge.settings import Settings
from shared.market.timeframes import Timeframe
from shared.wire.candle import VENUE
from tests.exchanges.bridge import of_playback
from tests.exchanges.dialects import Trade, minutes
from tests.exchanges.playback import Playback
from tests.functions.exchange_bridge.venues import ALL, symbol_of

pytestmark = pytest.mark.processes

T = TypeVar("T")
MINUTE = Timeframe.parse("1m")
DAY_US = 86_400_000_000
BEGIN_MS = 1_700_000_040_000
BEGIN_US = BEGIN_MS * 1000


def ask(playback: Playback, question: Callable[[Exchange], Awaitable[T]]) -> T:
    """Request it from the exchange as the bridge does."""

    async def run() -> T:
        symbol = symbol_of(playback)
        settings = Settings.from_env({"K_SINK": "http://none", **of_playback(playback, symbol)})
        try:
            return await question(settings.exchange)
        finally:
            await settings.exchange.rest.close()

    return asyncio.run(run())


def market(playback: Playback, count: int, spacing_ms: int = 20_000) -> list[Trade]:
    symbol = symbol_of(playback)
    made = [
        Trade(symbol, n + 1, f"{100 + n % 7}.25", f"0.{1 + n % 9}", BEGIN_MS + n * spacing_ms,
              buyer_made=n % 2 == 0)
        for n in range(count)
    ]  # fmt: skip
    playback.lose(made)
    return made


@pytest.mark.parametrize("fault", ["none", "rate limit", "error", "repeated page"])
def test_candles_are_those_that_the_exchange_publishes(
    exchange: Playback, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candles equal the exchange's, over pages, within the range, with exact decimals."""
    monkeypatch.setattr(history, "RETRY_S", 0.01)
    known = minutes(market(exchange, 3 * 700))
    from_us, to_us = BEGIN_US + 5 * MINUTE.length_us, BEGIN_US + 690 * MINUTE.length_us
    if fault == "rate limit":
        exchange.answers += [(429, {"retry-after": "0"}), (429, {"retry-after": "0"})]
    elif fault == "error":
        exchange.answers += [(500, {})]
    elif fault == "repeated page":
        exchange.repeats = 1

    def question(venue: Exchange) -> Awaitable[list[Kline]]:
        symbol = symbol_of(exchange)
        return until_answered("x", lambda: fetched(venue, symbol, MINUTE, from_us, to_us))

    found = ask(exchange, question)
    expected = [each for each in known if from_us <= each.start_ms * 1000 < to_us]
    assert [kline[:6] for kline in found] == [
        (each.start_ms * 1000, *each[1:6]) for each in expected
    ]
    name = exchange.dialect.name
    if name == "binance":
        assert [kline[6:] for kline in found] == [each[6:] for each in expected]
    if name == "kraken":
        assert [kline.trades for kline in found] == [each.trades for each in expected]
    candles = list(columns("A", MINUTE, found).candles())
    assert {each.origin for each in candles} == {VENUE}
    assert all(each.closed and each.high >= each.open for each in candles)


@pytest.mark.parametrize("name", ["binance", "ccxt:binance", "ccxt:bybit"])
def test_a_cached_wrong_page_is_requested_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that a cache answers wrongly is requested again until the range is complete."""
    monkeypatch.setattr(history, "RETRY_S", 0.01)
    playback = Playback(ALL[name][0]())
    try:
        known = minutes(market(playback, 3 * 40))

        def question(venue: Exchange) -> Awaitable[list[Kline]]:
            to_us = BEGIN_US + 40 * MINUTE.length_us
            begin_us = BEGIN_US - 60 * MINUTE.length_us  # without candles
            return until_answered(
                "x", lambda: fetched(venue, symbol_of(playback), MINUTE, begin_us, to_us)
            )

        playback.later_ms = 75 * 60_000
        found = ask(playback, question)
        assert playback.later_ms == 0
        assert [kline.start_us for kline in found] == [each.start_ms * 1000 for each in known]
    finally:
        playback.close()


def test_the_seam_at_a_time_is_found(exchange: Playback) -> None:
    """The seam at a time is the id before the first trade since, or none without a trade."""
    made = market(exchange, 500)
    symbol = symbol_of(exchange)
    for number in (0, 1, 250, 499):
        at_us = made[number].time_ms * 1000 - 1_000
        before = ask(exchange, lambda venue: venue.before(symbol, at_us))  # noqa: B023
        assert before is not None
        assert (before.id, before.time_us) == (number, at_us)
    late_us = made[-1].time_ms * 1000 + 1_000
    assert ask(exchange, lambda venue: venue.before(symbol, late_us)) is None


def test_a_refused_symbol_is_not_requested_again(exchange: Playback) -> None:
    """An unknown symbol is an error with the exchange's reason and is not retried."""
    by_ccxt = exchange.dialect.name.startswith("ccxt:")  # which knows its own markets
    if not by_ccxt:
        exchange.answers += [(404, {})]

    def question(venue: Exchange) -> Awaitable[list[Kline]]:
        return until_answered(
            "x", lambda: fetched(venue, "NONE", MINUTE, BEGIN_US, BEGIN_US + DAY_US)
        )

    with pytest.raises(RestError, match="BadSymbol" if by_ccxt else "404"):
        ask(exchange, question)
    assert len(exchange.requests) == 1


def test_a_range_is_split_at_midnight_without_stored_parts() -> None:
    """A range is split at midnight into whole intervals without those that are stored.

    The last chunk ends at the seam.
    """
    midnight = 1_700_006_400_000_000
    from_us, to_us = midnight - 90_000_000, midnight + DAY_US + 30 * 60_000_000
    first = (midnight - 60_000_000, midnight)
    second, third = (midnight, midnight + DAY_US), (midnight + DAY_US, to_us)
    assert missing_chunks(MINUTE, from_us, to_us, []) == [first, second, third]
    assert missing_chunks(MINUTE, from_us, to_us, [second]) == [first, third]
    known = [(midnight - DAY_US, midnight), second, (third[0], to_us - 60_000_000)]
    assert missing_chunks(MINUTE, from_us, to_us, known) == [third]
    assert missing_chunks(MINUTE, from_us, from_us, []) == []


def test_decimals_of_json_numbers_are_exact() -> None:
    """Coinbase's JSON numbers, which no float can hold, are exact."""
    from functions.exchange_bridge.exchanges import coinbase

    row = b"[[1700000040,0.1,61845.6800000000000000001,0.3,0.7,12345678.123456789]]"
    (kline,) = map(coinbase._kline, coinbase._decode_rows(row))
    assert kline.high == Decimal("61845.6800000000000000001")
    assert kline.volume == Decimal("12345678.123456789")
