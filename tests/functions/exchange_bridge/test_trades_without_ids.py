"""Venues by ccxt whose trades have no ids: none counts twice, and a gap stays open."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from functions.exchange_bridge.connections.ccxt_connection import CcxtConnection
from functions.exchange_bridge.connections.connection import Timeouts
from functions.exchange_bridge.exchange import Message, Trade
from functions.exchange_bridge.exchanges.ccxt_venue import CcxtVenue
from functions.exchange_bridge.health import Health
from functions.exchange_bridge.intake import Intake
from functions.exchange_bridge.past.gaps import Gaps
from functions.exchange_bridge.past.venue_history import until_answered
from functions.exchange_bridge.rest import RestError
from shared.adapter.sink import Sink
from shared.runtime import metrics
from shared.runtime.tasks import end
from shared.sources.batcher import Batcher, Limits, new_source
from shared.sources.outbox import Outbox

pytestmark = pytest.mark.processes

SYMBOL = "BTC/USDT"


def trade(time_ms: int, id_: str | None = None) -> dict[str, Any]:
    return {"id": id_, "timestamp": time_ms, "symbol": SYMBOL, "price": "1", "amount": "2"}


def test_a_trade_that_a_new_connection_repeats_is_left_out() -> None:
    """A new connection's first trades up to the last time received are left out, without ids."""

    async def received(*ids: str | None) -> list[int]:
        taken, venue = list[int](), CcxtVenue("lbank", [SYMBOL], "", "")

        def take(payload: bytes) -> Message:
            message = venue.read(payload)
            taken.extend(each.time_us // 1000 for each in message.trades)
            return message

        async def is_behind() -> bool:
            return False

        for times_ms in ((1_000, 1_000, 2_000), (1_000, 2_000, 3_000, 3_000)):
            timeouts = Timeouts(connect_s=0.1, stall_s=9.0)
            connection = CcxtConnection(venue, timeouts, take, is_behind, lambda: None)
            running = asyncio.create_task(connection.run())
            await asyncio.sleep(0)
            for number, time_ms in enumerate(times_ms):
                venue.client.on_trade(trade(time_ms, ids[0] and f"{time_ms}{number}"))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await venue.client.close()
        return taken

    assert asyncio.run(received(None)) == [1_000, 1_000, 2_000, 3_000, 3_000]
    assert len(asyncio.run(received("of the venue"))) == 7  # normalize tells them by their ids


def test_a_time_in_the_future_leaves_out_no_later_trade() -> None:
    """A trade with a future time does not make the next connection leave out new ones."""

    async def received(now_ms: int) -> list[bytes]:
        taken, venue = list[bytes](), CcxtVenue("lbank", [SYMBOL], "", "")
        venue.read(venue.trade_payload(trade(now_ms + 3_600_000)))

        def take(payload: bytes) -> Message:
            taken.append(payload)
            return venue.read(payload)

        async def is_behind() -> bool:
            return False

        timeouts = Timeouts(connect_s=0.1, stall_s=9.0)
        connection = CcxtConnection(venue, timeouts, take, is_behind, lambda: None)
        running = asyncio.create_task(connection.run())
        await asyncio.sleep(0)
        for time_ms in (now_ms, now_ms + 10_000):
            venue.client.on_trade(trade(time_ms))
        await end(running)
        await venue.client.close()
        return taken

    assert len(asyncio.run(received(time.time_ns() // 1_000_000))) == 2


def test_the_newest_trade_and_one_before_a_time_need_no_ids() -> None:
    """Trades without ids show by their times that a feed is behind, and where it begins."""

    async def rows(*_: object) -> list[dict[str, Any]]:
        return [trade(1_000), trade(2_000)]

    async def found() -> tuple[Trade | None, Trade | None]:
        venue = CcxtVenue("lbank", [SYMBOL], "", "")
        venue.client.ask = rows  # type: ignore[method-assign, assignment]
        venue.read(venue.trade_payload(trade(1_000)))
        try:
            async with asyncio.timeout(1):
                before = await until_answered("x", lambda: venue.before(SYMBOL, 1_500_000))
                return before, await venue.newest(SYMBOL)
        finally:
            await venue.client.close()

    expected = (Trade(SYMBOL, 1_000, 1_000_000), Trade(SYMBOL, 2_000, 2_000_000))
    assert asyncio.run(found()) == expected


def test_gaps_of_trades_without_ids_do_not_pile_up() -> None:
    """A gap that no request fills is reported once, and then neither kept nor a feed's error."""

    async def reported() -> int:
        venue = CcxtVenue("lbank", [SYMBOL], "", "")
        outbox = Outbox(
            Sink("http://127.0.0.1:1", "/test"),
            max_bytes=1 << 20,
            sent=metrics.FEED_SENT,
            buffered=metrics.FEED_BUFFERED,
        )
        batcher = Batcher(new_source("test"), Limits(), venue.format)
        intake = Intake(venue, batcher, Health(1), outbox.put)
        gaps = Gaps(intake, outbox, 0.0, 1_000)
        filling = asyncio.create_task(gaps.fill())
        for time_ms in range(10_000, 110_000, 10_000):
            intake.take(venue.trade_payload(trade(time_ms)))
            gaps.look()
            intake.connected()
        while intake.of(SYMBOL).gaps:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.01)
        await end(filling)
        assert not intake.health.error
        put = outbox.put_count
        await outbox.close(0)
        await venue.client.close()
        return put

    async def in_time() -> int:
        async with asyncio.timeout(10):
            return await reported()

    assert asyncio.run(in_time()) >= 9


def test_one_trade_without_an_id_does_not_keep_gaps_from_being_filled() -> None:
    """A venue's trades have ids if the last one has."""

    async def rows(*_: object) -> list[dict[str, Any]]:
        return [trade(1_000, "1"), trade(2_000, "2")]

    async def fetched() -> int:
        venue = CcxtVenue("bybit", [SYMBOL], "", "")
        venue.client.ask = rows  # type: ignore[method-assign, assignment]
        for id_ in (None, "1"):
            venue.read(venue.trade_payload(trade(1_000, id_)))
        ends = (Trade(SYMBOL, time_ms, time_ms * 1_000) for time_ms in (1_000, 2_000))
        try:
            return max([len(page.trades) async for page in venue.missing(SYMBOL, *ends)])
        finally:
            await venue.client.close()

    assert asyncio.run(fetched()) == 2


def test_markets_are_loaded_once_for_all_symbols_of_a_round() -> None:
    """The markets of a venue are loaded once, however many symbols are silent."""
    loaded = list[bool]()

    async def markets(method: str, reload: bool) -> dict[str, Any]:
        assert method == "load_markets"
        loaded.append(reload)
        return {}

    async def ask() -> None:
        venue = CcxtVenue("lbank", [SYMBOL], "", "")
        venue.client.ask = markets  # type: ignore[method-assign]
        for _ in range(3):
            await venue.listed(SYMBOL)
        await venue.client.close()

    asyncio.run(ask())
    assert loaded == [True, False, False]


@pytest.mark.parametrize(("live", "listed"), [(None, None), (None, "7"), ("7", None)])
def test_trades_without_ids_are_not_fetched(live: str | None, listed: str | None) -> None:
    """A gap of trades without ids stays open, with the reason: its trades could count twice."""

    async def rows(*_: object) -> list[dict[str, Any]]:
        return [trade(1_000, listed), trade(2_000, listed)]

    async def fetch() -> None:
        venue = CcxtVenue("lbank", [SYMBOL], "", "")
        venue.client.ask = rows  # type: ignore[method-assign, assignment]
        assert venue.read(venue.trade_payload(trade(1_000, live))).trades
        ends = (Trade(SYMBOL, time_ms, time_ms * 1_000) for time_ms in (1_000, 2_000))
        try:
            async for page in venue.missing(SYMBOL, *ends):
                assert not page.payloads
        finally:
            await venue.client.close()

    with pytest.raises(RestError, match="have no ids"):
        asyncio.run(fetch())
